import json

import numpy as np
import pytest

from elbax._errors import InputError
from elbax.runs import read as results_module
from elbax.runs.chapter import run_chapter
from elbax.runs.groups import Spread, by_method, number, spread
from elbax.runs.read import read
from tests.unit.conftest import make_per_datum


def test_reads_all_four_files(run_dir, results):
    run = read(run_dir)
    assert run.results == results
    assert len(run.metrics) == 15 * 40
    assert run.config["epochs"] == 40
    assert run.images is not None
    assert run.images["samples"].shape == (15, 16, 8, 8)
    assert read(str(run_dir)).results == results


def test_images_may_be_absent(run_dir):
    (run_dir / "images.npz").unlink()
    assert read(run_dir).images is None


CHANGED = {"ks": [1], "num_data": 359, "seed": 1, "checkpoint": "another"}


@pytest.mark.parametrize("field", CHANGED)
def test_images_of_another_evaluation_are_refused(run_dir, results, field):
    said = {"ks": [1, 64], "num_data": 360, "seed": 0, "checkpoint": "0f"}
    with np.load(run_dir / "images.npz") as archive:
        images = dict(archive)
    np.savez(run_dir / "images.npz", **images, setting=json.dumps(said, sort_keys=True))
    for change in ({}, {field: CHANGED[field]}):
        evaluation = results["evaluation"] | said | {"seconds": 1.0} | change
        content = json.dumps(results | {"evaluation": evaluation})
        (run_dir / "results.json").write_text(content)
        if change:
            with pytest.raises(InputError, match="are of different evaluations; run `elbax eval"):
                read(run_dir)
        else:
            assert "setting" not in read(run_dir).images


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("results.json", "run `elbax evaluate .*` first"),
        ("metrics.jsonl", "`elbax train` or `elbax compare` wrote"),
        ("config.json", "`elbax train` or `elbax compare` wrote"),
    ],
)
def test_a_missing_file_says_what_to_do(run_dir, name, cure):
    (run_dir / name).unlink()
    with pytest.raises(InputError, match=f"no {name} in '.*'; .*{cure}") as caught:
        read(run_dir)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_says_so(tmp_path):
    with pytest.raises(InputError, match="no run directory at"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("results.json", '{"format": 1', "cannot read"),
        ("results.json", "[1]", "Expected `object`, got `array`"),
        ("results.json", '{"format": 9}', "in format 1; got 9. Update elbax"),
        ("results.json", '{"format": 1}', "missing required field `dataset`"),
        ("config.json", "[]", "Expected `object`, got `array`"),
        ("metrics.jsonl", '{"run": "a", "epoch": 1}\n{"run', "line 2 of"),
        ("metrics.jsonl", '{"run": "a"}', "line 1 of"),
        ("images.npz", "no zip", "cannot read"),
    ],
)
def test_an_invalid_file_is_refused(run_dir, name, text, message):
    (run_dir / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read(run_dir)


def test_a_binary_file_is_refused(run_dir):
    (run_dir / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        read(run_dir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["runs"].clear(), "holds no runs"),
        (lambda r: r["runs"][3].pop("label"), r"field `label` - at `\$\.runs\[3\]`"),
        (lambda r: r["runs"][0].update(metrics=None), r"got `null` - at `\$\.runs\[0\]\.metrics`"),
        (lambda r: r["evaluation"].update(ks=[]), "evaluation.ks"),
        (lambda r: r["evaluation"].update(ks=["64"]), "evaluation.ks"),
    ],
)
def test_incomplete_results_are_refused(run_dir, results, change, message):
    change(results)
    (run_dir / "results.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match=message):
        read(run_dir)


def test_images_of_other_runs_are_refused(run_dir):
    with np.load(run_dir / "images.npz") as archive:
        images = dict(archive)
    np.savez(run_dir / "images.npz", **{**images, "samples": images["samples"][:3]})
    with pytest.raises(InputError, match=r"'samples' in .* for 15 runs; got 3"):
        read(run_dir)
    np.savez(run_dir / "images.npz", **{**images, "originals": images["originals"][0]})
    with pytest.raises(InputError, match=r"as floats with 1 axes before .*; got float32\[8, 8\]"):
        read(run_dir)


def test_images_in_color_are_read(run_dir):
    with np.load(run_dir / "images.npz") as archive:
        images = {name: np.stack([archive[name]] * 3, axis=-1) for name in archive.files}
    np.savez(run_dir / "images.npz", **images)
    assert read(run_dir).images["samples"].shape == (15, 16, 8, 8, 3)


def test_values_of_another_evaluation_are_left_out(run_dir, results):
    assert read(run_dir).per_datum is None
    per_datum = make_per_datum(results)
    np.savez(run_dir / "per_datum.npz", **per_datum)
    assert read(run_dir).per_datum["bounds"].shape == (15, 3, 360)
    np.savez(run_dir / "per_datum.npz", **per_datum | {"bounds": per_datum["bounds"][:, :2]})
    assert read(run_dir).per_datum is None


def test_pickled_images_are_refused(run_dir):
    pickled = np.array([{"a": 1}], dtype=object)
    np.savez(run_dir / "images.npz", originals=pickled)
    with pytest.raises(InputError, match="cannot read"):
        read(run_dir)


def test_methods_in_order_of_first_appearance(results):
    runs = results["runs"]
    runs.append(runs.pop(0))  # the first VAE seed last: now IWAE's is not first, VAE's still is
    methods = by_method(results)
    assert [m.label for m in methods][:2] == ["VAE(64)", "IWAE(64)"]
    assert methods[0].rows == (0, 1, 14)


def test_methods_of_one_label_are_told_apart(results):
    for run in results["runs"][3:6]:
        run["label"] = "VAE(64)"
    labels = [method.label for method in by_method(results)]
    assert labels[:2] == ["vae(m=64)", "iwae(k=64)"]


def test_images_are_shown_of_the_first_seed_that_finished(results):
    results["runs"][0]["status"] = "diverged"
    assert by_method(results)[0].shown == 1
    for run in results["runs"][:3]:
        run["status"] = "diverged"
    assert by_method(results)[0].shown == 0


def test_spread_skips_what_is_no_number():
    assert spread([1.0, None, float("nan"), 3.0]) == Spread(2.0, float(np.sqrt(2)), 2)
    assert spread([4]) == Spread(4.0, None, 1)
    assert spread([]) == Spread(None, None, 0)
    assert number(True) is None
    assert number("3") is None


def test_format_is_the_one_agreed_on():
    assert results_module.FORMAT == 1


def test_lists_of_other_lengths_than_the_sizes_are_refused(run_dir):
    numbers = {name: [1.0] for name in ("snr", "low", "high", "floor", "dsnr", "dsnr_low")}
    group = numbers | {"dsnr_high": [1.0], "slope": None, "error": None, "predicted": None}
    groups = {name: group | {"verdict": "pass"} for name in ("generative", "inference")}
    content = {"format": 1, "sizes": [4], "num_draws": [9], "tolerance": 0.1, "lines": [
        {"label": "A", "along": "K", "groups": groups}]}  # fmt: skip
    (run_dir / "snr.json").write_text(json.dumps(content))
    assert read(run_dir).snr == content
    for change in ({"sizes": [4, 8]}, {"sizes": []}):
        (run_dir / "snr.json").write_text(json.dumps(content | change))
        with pytest.raises(InputError, match="of different lengths; measure it again"):
            read(run_dir)
    units = {"name": "a", "active": [1], "variances": [[1.0], [2.0]], "change": 0.0}
    content = {"format": 1, "threshold": 0.01, "runs": [units | {"standard_error": 0.1}]}
    (run_dir / "snr.json").unlink()
    (run_dir / "units.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="of different lengths"):
        read(run_dir)


def test_units_of_a_run_that_diverged_are_shown_as_unknown(run_dir):
    units = {"name": "a", "active": [1], "variances": [[1.0, None]], "change": None}
    content = {"format": 1, "threshold": 0.01, "runs": [units | {"standard_error": None}]}
    (run_dir / "units.json").write_text(json.dumps(content))
    [section] = [one for one in run_chapter(run_dir).sections if one.name == "active-units"]
    assert "1 active, - nats" in section.exhibits[0].caption
    assert sum(section.exhibits[0].panels[0]["lines"][0]["heights"]) == 1


def test_a_torn_curve_against_k_is_refused(run_dir):
    content = json.loads((run_dir / "results.json").read_text())
    content["runs"][0]["curve"] = {"k": [1, 8], "mean": [-3.0], "standard_error": [0.1, 0.1]}
    (run_dir / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"the curve of .* is torn"):
        read(run_dir)
