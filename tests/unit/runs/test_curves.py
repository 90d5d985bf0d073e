import numpy as np
import pytest

from elbax._errors import InputError
from elbax.runs import curves
from elbax.runs.evaluate import between
from elbax.runs.read import read


def test_learning_curves_are_mean_and_sd_over_seeds(run_dir):
    run = read(run_dir)
    found = curves.learning_curves(run)
    assert found.y == "held-out IWAE-64, nats"
    line = found.lines[1]
    at_ten = [
        entry["iwae_64"]
        for entry in run.metrics
        if entry["epoch"] == 10 and entry["run"].startswith("iwae-")
    ]
    place = line["x"].index(10)
    assert line["y"][place] == pytest.approx(np.mean(at_ten))
    assert line["error"][place] == pytest.approx(np.std(at_ten, ddof=1))
    assert line["num_runs"][place] == 3


@pytest.mark.parametrize("whose", ["", "vae"])
def test_where_one_has_no_held_out_bounds_the_training_bound_is_drawn_and_said(run_dir, whose):
    run = read(run_dir)
    for entry in run.metrics:
        if entry["run"].startswith(whose):
            entry.pop("iwae_64", None)
    assert curves.learning_curves(run).y == "training bound (each method its own), nats"
    assert len(curves.learning_curves(run).lines) == 5


def test_an_epoch_trained_twice_counts_once(run_dir):
    run = read(run_dir)
    run.metrics.append({"run": "vae-seed0", "epoch": 40, "iwae_64": -1.0})
    line = curves.learning_curves(run).lines[0]
    assert line["num_runs"][-1] == 3
    assert line["error"][-1] > 10


def test_diverged_and_nonfinite_points_are_left_out(run_dir):
    run = read(run_dir)
    run.results["runs"][0]["status"] = "diverged"
    next(x for x in run.metrics if x["run"] == "vae-seed1" and x["epoch"] == 40)["iwae_64"] = None
    line = curves.learning_curves(run).lines[0]
    assert line["num_runs"][-2:] == [2, 1]
    assert line["error"][-1] == 0


def test_bounds_end_at_log_p_hat(results):
    found = curves.bounds_by_k(results)
    assert found.ticks == [1, 64, 5000]
    line = found.lines[0]
    assert line["x"] == [1, 64, 5000]
    values = [run["metrics"]["log_p_hat"] for run in results["runs"][:3]]
    assert line["y"][-1] == pytest.approx(np.mean(values))
    assert line["high"][-1] - line["y"][-1] == pytest.approx(np.std(values, ddof=1))
    assert line["y"] == sorted(line["y"])
    assert "the sd over seeds" in found.caption


def test_bounds_of_one_seed_have_the_standard_error(results):
    results["runs"] = results["runs"][::3]
    found = curves.bounds_by_k(results)
    line = found.lines[0]
    np.testing.assert_allclose(np.subtract(line["high"], line["y"]), [0.31, 0.29, 0.28])
    assert "the standard error over data" in found.caption


def test_bounds_between_those_asked_for_are_drawn_where_they_were_evaluated(results):
    assert between((1, 64, 5000)) == (1, 4, 16, 64, 256, 1024, 5000)
    for run in results["runs"]:
        run["curve"] = {"k": [1, 4, 64], "mean": [-9.0, -25.0, -9.0], "standard_error": [0.1] * 3}
    line = curves.bounds_by_k(results).lines[0]
    assert line["x"] == [1, 4, 64, 5000]
    assert line["y"][1] == -25.0
    assert line["y"][0] != -9.0  # what was asked for is as in the table


def test_gaps_have_axes_of_their_own(results):
    decomposed, gap = curves.gaps(results)
    assert decomposed.points == ["IWAE-1", "IWAE-64", "log p-hat"]
    assert (gap.name, gap.points) == ("gap-64", ["gap_64"])
    mean = np.mean([run["metrics"]["gap_64"] for run in results["runs"][:3]])
    assert gap.rows[0]["values"] == [pytest.approx(mean)]
    for run in results["runs"]:
        run.update(status="diverged")
    assert curves.gaps(results) == []


def test_several_folders_stand_on_the_same_axes(run_dir):
    run = read(run_dir)
    both = curves.overlay({"a": run, "b": run}, "iwae_64")
    assert [line["label"] for line in both.lines][::5] == ["a: VAE(64)", "b: VAE(64)"]
    assert curves.overlay({"a": run}, "ess").y == "ess"
    with pytest.raises(InputError, match=r"expected a metric .* bound, ess, .*; got 'elbo'"):
        curves.overlay({"a": run}, "elbo")


def test_numbers_that_change_are_drawn_by_method_and_name(tmp_path, results, write_run):
    lines = []
    for run in results["runs"]:
        for epoch in (1, 2):
            line = {"run": run["name"], "epoch": epoch, "bound": -20.0 + epoch}
            if run["label"].startswith("CIWAE"):
                line |= {"beta": 0.5 - 0.1 * epoch + 0.01 * run["seed"], "kl_weight": epoch / 2}
            lines.append(line)
    found = curves.courses(read(write_run(tmp_path / "run", results, metrics=lines)))
    assert found.y == "beta / KL weight"
    beta, weight = found.lines
    assert beta["label"] == "CIWAE(64, β=0.5): beta"
    np.testing.assert_allclose(beta["y"], [0.41, 0.31])
    np.testing.assert_allclose(beta["error"], [0.01, 0.01])
    assert weight["y"] == [0.5, 1.0]


def test_logged_snr_is_drawn_by_method_and_network(tmp_path, results, write_run):
    lines = [
        {"run": run["name"], "epoch": epoch, "bound": -20.0, "snr_inference": 0.1 * epoch}
        for run in results["runs"]
        for epoch in (2, 4)
    ]
    found = curves.snr_curves(read(write_run(tmp_path / "run", results, metrics=lines)))
    assert found.lines[0]["label"] == "VAE(64): inference"
    np.testing.assert_allclose(found.lines[0]["y"], [0.2, 0.4])


def test_runs_without_them_have_no_such_lines(run_dir):
    assert curves.courses(read(run_dir)).lines == []
    assert curves.snr_curves(read(run_dir)).lines == []
