"""A model of the user's own on the command line: named at every step, imported at none other."""

import csv
import json
import sys

import numpy as np
import pytest

from elbax.cli.main import main

SOURCE = """
import pathlib
import elbax

pathlib.Path("imported").touch()

def build(event_shape, key):
    return elbax.one_layer(event_shape, elbax.ModelConfig(hidden=(3,), latents=2), key=key)

other = build
"""
OWN = ["--model", "own_for_cli:build"]
FEW = ["--ks", "1", "4", "--num-data", "30"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with a module and with a run of its model."""
    here = tmp_path_factory.mktemp("own")
    (here / "own_for_cli.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ELBAX_CACHE", str(here / "cache"))
        patched.chdir(here)
        words = ["train", *OWN, "--k", "4", "--epochs", "1", "--batch-size", "200", "--out", "run"]
        assert main(words) == 0
        assert main(["evaluate", "run", *OWN, *FEW]) == 0
    return here


@pytest.fixture
def here(trained, monkeypatch):
    """That directory, its module not imported yet."""
    monkeypatch.setenv("ELBAX_CACHE", str(trained / "cache"))
    monkeypatch.chdir(trained)
    sys.modules.pop("own_for_cli", None)
    (trained / "imported").unlink(missing_ok=True)
    return trained


def test_the_run_is_recorded_evaluated_and_reported(here, capsys):
    config = json.loads((here / "run" / "config.json").read_text())
    assert config["model"]["custom"] == "own_for_cli:build"
    [run] = json.loads((here / "run" / "results.json").read_text())["runs"]
    assert run["metrics"]["iwae_1"] < run["metrics"]["log_p_hat"] < 0
    (here / "run" / "report.html").unlink()
    assert main(["report", "run"]) == 0
    assert (here / "run" / "report.html").stat().st_size > 0
    assert not (here / "imported").exists()  # a page is made of results alone


def test_what_was_learned_is_drawn_and_exported(here, capsys):
    words = ["sample", "run", *OWN, "--what", "draws", "--num", "6", "--out", "draws.npy"]
    assert main(words) == 0
    draws = np.load("draws.npy")
    assert draws.shape == (6, 8, 8)
    assert set(np.unique(draws)) == {0, 1}
    assert main(["export", "run", *OWN, "--out", "v.csv", "--table", "t.tex", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["files"] == ["v.csv", "t.tex"]
    with open("v.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load("run/per_datum.npz") as found:
        written = np.array([row["log_p_hat"] for row in rows], np.float32)
        np.testing.assert_array_equal(written, found["bounds"][0, -1])
    assert {"z1_1", "z1_2"} <= set(rows[0])
    assert "IWAE(4)" in (here / "t.tex").read_text()


def test_the_run_goes_on_with_the_same_model_alone(here, capsys):
    words = ["train", "--k", "4", "--epochs", "1", "--batch-size", "200", "--out", "run"]
    assert main([*words, *OWN, "--resume"]) == 0
    assert main([*words, "--model", "own_for_cli:other", "--resume"]) == 2
    assert "another configuration" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "run"],
        ["evaluate", "run", "--against", "run"],
        ["sample", "run", "--out", "s.npy"],
        ["snr", "run"],
        ["export", "run"],
        ["train", "--from", "run", "--k", "4", "--out", "second"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_no_code_is_imported_that_only_the_folder_names(here, words, capsys):
    before = sorted(here.rglob("*"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "a model of your own (own_for_cli:build); elbax imports no code that a folder" in said
    assert "--model module:function" in said
    assert sorted(here.rglob("*")) == before


WRONG = {
    "another one": (
        ["evaluate", "run", "--model", "own_for_cli:other"],
        "were built by own_for_cli:build; got --model own_for_cli:other",
    ),
    "no such module": (
        ["train", "--model", "own_for_cil:build", "--out", "x"],
        "found no module 'own_for_cil'",
    ),
    "no such function": (
        ["train", "--model", "own_for_cli:biuld", "--out", "x"],
        "module 'own_for_cli' has no function 'biuld'",
    ),
    "neither": (
        ["train", "--model", "refrence", "--out", "x"],
        "unknown model 'refrence'; did you mean 'reference'?",
    ),
    "with sizes": (
        ["train", *OWN, "--hidden", "5", "--out", "x"],
        "whose function decides them all",
    ),
    "one file for both": (
        ["export", "run", "--no-latents", "--out", "x.csv", "--table", "./x.csv"],
        "expected two files for --out and --table",
    ),
    "values as a table": (["export", "run", "--out", "v.tex"], "--out to end in .csv, .npz"),
    "a table as a picture": (
        ["export", "run", "--no-latents", "--out", "w.csv", "--table", "t.png"],
        "--table to end in .csv, .md, .tex",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words_are_one_sentence(here, name, capsys):
    words, message = WRONG[name]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert not (here / "x").exists()
    assert not (here / "w.csv").exists()
