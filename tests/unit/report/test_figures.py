import io

import numpy as np
import pytest
from PIL import Image

from elbax._errors import InputError
from elbax.report import figures, series
from elbax.report.results import read

ALL = ("learning_curves", "bounds_by_k", "reconstructions", "prior_samples")


def draw(name, run):
    return getattr(figures, name)(run.results if name == "bounds_by_k" else run)


def texts(figure):
    return figures.render(figure, "svg").decode()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_results_give_the_same_bytes(run_dir, name, kind):
    first, second = (figures.render(draw(name, read(run_dir)), kind) for _ in range(2))
    assert first == second
    assert not any(word in first for word in (b"Date", b"date>", b"Matplotlib", b"Software"))


@pytest.mark.parametrize("name", ALL)
def test_every_method_is_named(run_dir, name):
    svg = texts(draw(name, read(run_dir)))
    for label in ("VAE(64)", "IWAE(64)", "MIWAE(8, 8)", "PIWAE(8, 8)", "CIWAE(64,"):
        assert f">{label}" in svg


def test_learning_curves_are_mean_and_sd_over_seeds(run_dir):
    run = read(run_dir)
    numbers = series.learning_curves(run)
    assert numbers["metric"] == "iwae_64"
    curve = numbers["methods"][1]
    at_ten = [
        line["iwae_64"]
        for line in run.metrics
        if line["epoch"] == 10 and line["run"].startswith("iwae-")
    ]
    place = curve["epochs"].index(10)
    assert curve["mean"][place] == pytest.approx(np.mean(at_ten))
    assert curve["sd"][place] == pytest.approx(np.std(at_ten, ddof=1))
    assert curve["num_runs"][place] == 3


def test_without_held_out_bounds_the_training_bound_is_drawn_and_said(run_dir):
    run = read(run_dir)
    for line in run.metrics:
        line.pop("iwae_64", None)
    assert series.learning_curves(run)["metric"] == "bound"
    assert "training bound" in texts(figures.learning_curves(run))


def test_one_method_without_held_out_bounds_turns_all_to_training(run_dir):
    run = read(run_dir)
    for line in run.metrics:
        if line["run"].startswith("vae"):
            line.pop("iwae_64", None)
    assert series.learning_curves(run)["metric"] == "bound"


def test_an_epoch_trained_twice_counts_once(run_dir):
    run = read(run_dir)
    run.metrics.append({"run": "vae-seed0", "epoch": 40, "iwae_64": -1.0})
    curve = series.learning_curves(run)["methods"][0]
    assert curve["num_runs"][-1] == 3
    assert curve["sd"][-1] > 10


def test_diverged_and_nonfinite_points_are_left_out(run_dir):
    run = read(run_dir)
    run.results["runs"][0]["status"] = "diverged"
    next(x for x in run.metrics if x["run"] == "vae-seed1" and x["epoch"] == 40)["iwae_64"] = None
    curve = series.learning_curves(run)["methods"][0]
    assert curve["num_runs"][-2:] == [2, 1]
    assert curve["sd"][-1] is None
    figures.render(figures.learning_curves(run), "png")


def test_bounds_end_at_log_p_hat(results):
    bound = series.bounds_by_k(results)["methods"][0]
    assert bound["k"] == [1, 64, 5000]
    values = [run["metrics"]["log_p_hat"] for run in results["runs"][:3]]
    assert bound["mean"][-1] == pytest.approx(np.mean(values))
    assert bound["error_is"] == "sd over seeds"
    assert bound["mean"] == sorted(bound["mean"])


def test_bounds_of_one_seed_have_the_standard_error(results):
    results["runs"] = results["runs"][::3]
    bound = series.bounds_by_k(results)["methods"][0]
    assert bound["error"] == [0.31, 0.29, 0.28]
    assert "standard error over data" in texts(figures.bounds_by_k(results))


@pytest.mark.parametrize("ks", [[1], [64, 5000]])
def test_bounds_of_any_ks(results, ks):
    results["evaluation"]["ks"] = ks
    results["runs"][0]["standard_errors"] = {}
    figures.render(figures.bounds_by_k(results), "png")


@pytest.mark.parametrize("seeds", [1, 3])
def test_labels_of_any_kind_are_drawn_as_they_are(run_dir, seeds):
    run = read(run_dir)
    names = ["$x^{", "_hidden", "<b>&", "名前\nnew line", "long " * 20]
    for place, entry in enumerate(run.results["runs"]):
        entry["label"] = names[place // 3]
    run.results["runs"] = [e for e in run.results["runs"] if e["seed"] < seeds]
    for name in ALL:
        svg = texts(draw(name, run))
        assert "$x^{" in svg
        assert "_hidden" in svg
        assert "&lt;b&gt;&amp;" in svg
        figures.render(draw(name, run), "png")


@pytest.mark.parametrize("num", [1, 2, 12])
def test_any_number_of_methods(run_dir, num):
    run = read(run_dir)
    run.results["runs"] = [
        {**entry, "method": str(place), "label": f"IWAE({place})"}
        for place, entry in enumerate(run.results["runs"][:num])
    ]
    for name in ALL:
        image = Image.open(io.BytesIO(figures.render(draw(name, run), "png")))
        assert image.width > 300


def test_images_shown_are_told(run_dir):
    run = read(run_dir)
    run.results["runs"][3]["status"] = "diverged"
    numbers = series.reconstructions(run)
    assert numbers["columns"] == 8
    assert numbers["methods"][1] == {"label": "IWAE(64)", "run": "iwae-seed1", "row": 4}
    assert series.prior_samples(run)["columns"] == 16


def test_nan_images_are_drawn(run_dir):
    run = read(run_dir)
    assert run.images is not None
    run.images["samples"][:] = np.nan
    figures.render(figures.prior_samples(run), "png")


def test_nothing_to_draw_is_refused(run_dir):
    (run_dir / "images.npz").unlink()
    run = read(run_dir)
    for draw_images in (figures.reconstructions, figures.prior_samples):
        with pytest.raises(InputError, match=r"no images\.npz"):
            draw_images(run)
    run.metrics.clear()
    with pytest.raises(InputError, match="nothing to draw"):
        figures.learning_curves(run)
    for entry in run.results["runs"]:
        entry["status"] = "diverged"
    with pytest.raises(InputError, match="nothing to draw"):
        figures.bounds_by_k(run.results)


def test_save_goes_by_the_file_s_name(run_dir, tmp_path):
    figure = figures.bounds_by_k(read(run_dir).results)
    assert figures.save(figure, tmp_path / "new" / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in figures.save(figure, str(tmp_path / "a.svg")).read_bytes()
    with pytest.raises(InputError, match="png or svg; got 'jpg'"):
        figures.save(figure, tmp_path / "a.jpg")


def test_drawing_leaves_matplotlib_s_settings_alone(run_dir):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figures.learning_curves(read(run_dir))
    assert dict(mpl.rcParams) == before


def test_numbers_that_change_are_drawn_by_method_and_name(tmp_path, results, write_run):
    lines = []
    for run in results["runs"]:
        for epoch in (1, 2):
            line = {"run": run["name"], "epoch": epoch, "bound": -20.0 + epoch}
            if run["label"].startswith("CIWAE"):
                line |= {"beta": 0.5 - 0.1 * epoch + 0.01 * run["seed"], "kl_weight": epoch / 2}
            lines.append(line)
    run = read(write_run(tmp_path / "run", results, metrics=lines))
    numbers = series.courses(run)
    assert numbers["name"] == "beta / KL weight"
    beta, weight = numbers["methods"]
    assert beta["label"] == "CIWAE(64, β=0.5): beta"
    np.testing.assert_allclose(beta["mean"], [0.41, 0.31])
    np.testing.assert_allclose(beta["sd"], [0.01, 0.01])
    assert weight["mean"] == [0.5, 1.0]
    assert "KL weight" in texts(figures.courses(run))


def test_runs_without_such_numbers_have_no_such_figure(run_dir):
    assert series.courses(read(run_dir))["methods"] == []
    with pytest.raises(InputError, match="no objective of these runs has a number that changes"):
        figures.courses(read(run_dir))


def test_logged_snr_is_drawn_by_method_and_network(tmp_path, results, write_run):
    lines = [
        {"run": run["name"], "epoch": epoch, "bound": -20.0, "snr_inference": 0.1 * epoch}
        for run in results["runs"]
        for epoch in (2, 4)
    ]
    run = read(write_run(tmp_path / "run", results, metrics=lines))
    numbers = series.snr_curves(run)
    assert numbers["methods"][0]["label"] == "VAE(64): inference"
    np.testing.assert_allclose(numbers["methods"][0]["mean"], [0.2, 0.4])
    assert "VAE(64): inference" in texts(figures.snr_curves(run))


def test_runs_that_logged_no_snr_have_no_such_figure(run_dir):
    assert series.snr_curves(read(run_dir))["methods"] == []
    with pytest.raises(InputError, match="no run logged its SNR; train with --snr-every"):
        figures.snr_curves(read(run_dir))
