"""The SNR study of the toy: slopes beside theory, verdicts, and what is written."""

import dataclasses
import json

import numpy as np
import pytest

from elbax._errors import InputError
from elbax.cli.main import main
from elbax.report import tables
from elbax.report.page import write_snr
from elbax.runs import snr as snr_runs
from elbax.runs import snr_study
from elbax.runs.snr_exhibits import exhibits_of, ratios, slopes
from elbax.runs.snr_study import LINES, toy_study

CHOSEN = ("IWAE", "ELBO", "DReG", "OVIS 1", "score")


@pytest.fixture(scope="module")
def study():
    chosen = {"sizes": (4, 16, 64), "num_draws": 1000, "num_dimensions": 4, "batch": 8}
    return toy_study(lines=[line for line in LINES if line.label in CHOSEN], **chosen)


def test_slopes_are_those_of_theory_where_there_is_signal(study):
    verdicts = {line["label"]: line["groups"] for line in study["lines"]}
    for label, groups in verdicts.items():
        assert groups["generative"]["verdict"] == "pass", label
        assert groups["inference"]["verdict"] in ("pass", "under the noise floor"), label
    for label in ("ELBO", "DReG", "OVIS 1"):
        assert verdicts[label]["inference"]["verdict"] == "pass", label
    assert verdicts["score"]["inference"]["verdict"] == "under the noise floor"


def test_a_wrong_prediction_fails():
    elbo = next(line for line in LINES if line.label == "ELBO")
    wrong = dataclasses.replace(elbo, inference=-0.5)
    sizes = {"sizes": (4, 16, 64), "num_draws": 500, "num_dimensions": 3, "batch": 4}
    found = toy_study(lines=[wrong], **sizes)
    assert found["lines"][0]["groups"]["inference"]["verdict"] == "fail"


def test_table_and_figures_are_written(study, tmp_path):
    text = tables.to_text(slopes(study))
    assert max(map(len, text.splitlines())) <= 80
    assert "DReG" in text
    files = write_snr(study, tmp_path)
    names = [file.name for file in files]
    assert names[0] == "snr.json"
    assert {"snr-generative.png", "dsnr-inference.png"} <= set(names)
    assert json.loads(files[0].read_text())["lines"] == study["lines"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_a_toy_of_one_dimension_has_no_dsnr_and_is_still_written(tmp_path):
    """One parameter has nothing across its gradient: null in the file, and no figure."""
    elbo = [line for line in LINES if line.label == "ELBO"]
    found = toy_study(lines=elbo, sizes=(4,), num_draws=64, num_dimensions=1, batch=4)
    group = found["lines"][0]["groups"]["generative"]
    assert group["dsnr"] == group["dsnr_low"] == group["dsnr_high"] == [None]
    assert found["num_draws"] == [64]
    written = json.loads(write_snr(found, tmp_path)[0].read_text())
    assert written["lines"] == found["lines"]
    assert ratios(found, "dsnr", "generative") == []


def test_no_figure_repeats_a_color_and_theory_has_its_slope(study):
    for exhibit in exhibits_of(study):
        assert len(exhibit.lines) <= 8
    shown = [one for one in exhibits_of(study) if one.name.startswith("snr-inference")]
    assert sum(len(one.lines) for one in shown) == len(study["lines"])
    for line in (line for one in shown for line in one.lines):
        predicted = next(x for x in study["lines"] if x["label"] == line["label"])
        rise = np.diff(np.log(line["theory"])) / np.diff(np.log(line["x"]))
        np.testing.assert_allclose(rise, predicted["groups"]["inference"]["predicted"])


@pytest.mark.parametrize("sizes", [(), (2, 4), (4, 10)])
def test_sizes_that_do_not_split_are_refused(sizes):
    with pytest.raises(InputError, match="expected sizes that are multiples of 4"):
        toy_study(sizes=sizes)


def test_a_trained_run_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ELBAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(snr_runs, "_CONTINUOUS", ("IWAE", "ELBO"))
    monkeypatch.setattr(snr_study, "_HISTOGRAM_KS", (1, 10))
    out = str(tmp_path / "run")
    tiny = ["--hidden", "8", "--latents", "2", "--epochs", "2", "--batch-size", "100"]
    train = ["train", "--method", "iwae", "--k", "4", *tiny, "--snr-every", "2", "--out", out]
    assert main(train) == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert "snr_inference" not in first
    assert second["snr_inference"] > 0
    assert second["snr_generative"] > 0
    words = ["snr", out, "--sizes", "4", "8", "--num-draws", "32", "--ess-samples", "50"]
    assert main([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    groups = content["lines"][0]["groups"]
    assert {"generative/decoder.logits", "inference/encoder.scale"} <= set(groups)
    assert [entry["k"] for entry in content["histograms"]] == [1, 1, 10, 10]
    assert all(1 <= value <= 50 for value in content["ess"][0]["ess"])
    for name in ("snr-inference", "dsnr-generative", "snr-layers-k", "gradient-histograms", "ess"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 1000


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert main(["snr", str(tmp_path)]) == 2
    assert "expected a run folder with a config.json" in capsys.readouterr().err
    assert main(["snr", str(tmp_path / "nothing")]) == 2
    assert "expected toy, or a folder that `elbax train` wrote" in capsys.readouterr().err
