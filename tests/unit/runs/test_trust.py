"""AIS, BDMC, SUMO and calibration of runs on disk: written, kept, shown, refused."""

import json

import numpy as np
import pytest

import elbax
from elbax.cli.main import main
from elbax.runs import trust
from elbax.runs.calibration import calibration_figure, calibration_table
from elbax.runs.chapter import run_chapter
from elbax.runs.load import load_runs
from elbax.runs.metrics import CHECKS
from elbax.runs.read import read
from elbax.runs.trust import Checks, trust_table

CONFIG = elbax.TrainConfig(epochs=1, batch_size=100)
SETTING = {"ks": (1, 4), "num_data": 6}
WORDS = ["--ks", "1", "4", "--num-data", "6"]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A run evaluated with everything, by the command line."""
    folder = tmp_path_factory.mktemp("trust") / "digits"
    data = elbax.load_data("digits")
    model = elbax.ModelConfig(hidden=(4,), latents=2)
    elbax.fit("iwae(k=4)", data, model=model, config=CONFIG, directory=folder)
    words = ["--ais", "--ais-steps", "8", "--ais-chains", "2", "--sumo", "--calibration"]
    assert main(["evaluate", str(folder), *WORDS, *words]) == 0
    return folder


def test_means_errors_and_values_of_every_datum_are_written(checked):
    [run] = json.loads((checked / "results.json").read_text())["runs"]
    names = [metric.key for metric in CHECKS]
    assert all(np.isfinite(run["metrics"][name]) for name in names)
    assert all(run["standard_errors"][name] > 0 for name in names)
    assert run["checks"]["steps"] == 8
    with np.load(checked / "per_datum.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].shape for name in trust.ARRAYS} == dict.fromkeys(
            trust.ARRAYS, (1, 6)
        )
        np.testing.assert_allclose(arrays["ais"].mean(), run["metrics"]["ais"])
        short = (arrays["bdmc_upper"] - arrays["bdmc_iwae"]).mean()
        np.testing.assert_allclose(short, run["metrics"]["short_most"], rtol=1e-5)
        gain = (arrays["sumo"] - arrays["bounds"][:, -1]).mean()
        np.testing.assert_allclose(gain, run["metrics"]["sumo_gain"], rtol=1e-5)


def test_the_page_shows_them_and_calls_no_estimate_a_bound(checked):
    sections = {section.name: section for section in run_chapter(checked).sections}
    [table] = sections["trust"].exhibits
    assert {"AIS", "BDMC lower", "BDMC upper", "simulated: IWAE-4"} <= set(table.columns)
    told = " ".join(table.notes)
    assert "4 samples are short of log p(x) by" in told
    assert "SUMO is no bound" in told
    assert "no bound" in table.meanings["SUMO"]
    figure, ranks = sections["calibration"].exhibits
    assert [panel["title"].split(", ")[1] for panel in figure.panels] == ["layer 1", "all jointly"]
    low, high = figure.panels[0]["band"]
    assert low < 0.05 < high
    assert len(ranks.rows) == 4


def test_an_evaluation_without_checks_keeps_those_of_the_same_checkpoint(checked):
    before = json.loads((checked / "results.json").read_text())["runs"][0]
    runs = load_runs(checked)
    [after] = elbax.evaluate_runs(runs, **SETTING)["runs"]
    assert after["metrics"] == before["metrics"]
    assert after["checks"] == before["checks"]
    # Another evaluation has none, and one anew replaces its own alone.
    assert trust_table(elbax.evaluate_runs(runs, ks=(1, 4), num_data=5)) is None
    [anew] = elbax.evaluate_runs(runs, **SETTING, checks=Checks(sumo=True))["runs"]
    assert anew["metrics"]["ais"] == before["metrics"]["ais"]


def test_what_cannot_be_is_refused(checked, tmp_path, capsys):
    both = ["evaluate", str(checked), "--against", str(checked), "--ais", "--calibration"]
    assert main(both) == 2
    assert "expected no --ais or --calibration with --against" in capsys.readouterr().err
    assert main(["evaluate", str(checked), *WORDS, "--ais", "--ais-steps", "1"]) == 2
    assert "expected steps >= 2; got 1" in capsys.readouterr().err
    content = json.loads((checked / "calibration.json").read_text())
    [first, *_] = content["runs"][0]["found"]
    for wrong, message in (
        ({"coverage": [0.5]}, "of different lengths; measure it again"),
        ({"error": 2**80}, "as `elbax evaluate --calibration` writes it"),
    ):
        content["runs"][0]["found"] = [first | wrong]
        (checked / "calibration.json").write_text(json.dumps(content))
        with pytest.raises(elbax.InputError, match=message):
            read(checked)


def test_a_verdict_for_each_way_to_be_off():
    def verdict(coverage, p_value):
        one = {"latents": "layer 1", "kind": "encoder", "shares": [0.5, 0.5], "error": 0.1}
        one |= {"coverage": coverage, "coverage_error": [0.01, 0.01], "p_value": p_value}
        content = {"num_data": 9, "num_draws": 99, "runs": [{"name": "a", "found": [one]}]}
        assert calibration_figure(content).panels
        return calibration_table(content).rows[0][-1]

    assert verdict([0.5, 0.8], 0.5) == "too narrow"
    assert verdict([0.6, 0.9], 0.5) == "too wide"
    assert verdict([0.5, 0.9], 1e-5) == "off"
    assert verdict([0.7, 0.8], 0.5) == "off"  # in two ways at once
    assert verdict([0.5, 0.9], 0.5).startswith("calibrated")
