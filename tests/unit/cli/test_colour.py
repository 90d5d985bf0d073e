"""Images in colour on the command line: from files to bits per dimension and pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from elbax.cli import train
from elbax.cli.main import main
from elbax.cli.progress import Reporter
from elbax.data.load import load_data
from elbax.models.config import ModelConfig
from elbax.runs.data import find
from elbax.runs.load import load_runs

TINY = ["--hidden", "8", "--latents", "2", "--epochs", "1", "--batch-size", "20"]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of 8 x 8 pixels, each of one colour and some noise."""
    path = tmp_path_factory.mktemp("photos")
    hues = RNG.uniform(40, 215, (80, 1, 1, 3)) + RNG.normal(0, 3, (80, 8, 8, 3))
    for index, image in enumerate(hues.round().astype(np.uint8)):
        Image.fromarray(image).save(path / f"{index:03d}.png")
    return path


@pytest.fixture(scope="module")
def compared(folder, tmp_path_factory):
    """A fleet of two methods on them, and where it lies."""
    out = tmp_path_factory.mktemp("runs") / "colour"
    words = ["compare", "--data", str(folder), "--likelihood", "discretised-logistic"]
    words += ["--methods", "vae(2)", "iwae(2)", *TINY, "--ks", "1", "8"]
    assert main([*words, "--out", str(out)]) == 0
    return out


def test_bits_per_dimension_stand_beside_nats_everywhere(compared, capsys):
    found = json.loads((compared / "results.json").read_text())
    for run in found["runs"]:
        per_bit = 192 * np.log(2)
        metrics, errors = run["metrics"], run["standard_errors"]
        assert metrics["bits_per_dim"] == pytest.approx(-metrics["log_p_hat"] / per_bit)
        assert errors["bits_per_dim"] == pytest.approx(errors["log_p_hat"] / per_bit)
        assert 2 < metrics["bits_per_dim"] < 12
    page = (compared / "report.html").read_text()
    assert page.count("bits/dim") >= 3
    assert "bits per dimension)" in page
    assert main(["evaluate", str(compared), "--ks", "1", "8"]) == 0
    printed = capsys.readouterr().out
    assert "bits/dim" in printed
    assert "not in nats: bits/dim" in printed
    assert main(["evaluate", str(compared), "--against", str(compared), "--ks", "1", "8"]) == 0
    assert "bits_per_dim   +0.000" in capsys.readouterr().out


def test_pictures_are_in_colour(compared, tmp_path):
    images = dict(np.load(compared / "images.npz"))
    assert images["originals"].shape[1:] == (8, 8, 3)
    assert images["samples"].shape[2:] == (8, 8, 3)
    for what in ("draws", "posterior"):
        out = tmp_path / f"{what}.png"
        words = ["sample", str(compared), "--what", what, "--num", "4", "--out", str(out)]
        assert main(words) == 0
        pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
        assert (np.ptp(pixels, axis=-1) > 60).mean() > 0.02


def test_runs_find_their_folder_again_and_others_are_read_like_it(compared, folder, tmp_path):
    runs = load_runs(compared)
    assert find(runs.config, compared).event_shape == (8, 8, 3)
    for index in range(3):
        Image.fromarray(RNG.integers(0, 255, (8, 8), np.uint8)).save(tmp_path / f"{index}.png")
    assert find(runs.config, compared, data=str(tmp_path)).test.shape == (3, 8, 8, 3)
    # A folder that an elbax read as grey which had no colours.
    before = load_data(folder, colour=False)
    data = {"request": before.request, "fingerprint": before.fingerprint(), "event_shape": [8, 8]}
    del data["request"]["colour"]
    assert find({"data": data}, compared).event_shape == (8, 8)


def test_what_colours_are_taken_for_is_said(folder, capsys):
    assert main(["data", "info", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["splits"]["train"], found["binarise"]) == ([72, 8, 8, 3], "none")
    assert main(["data", "info", str(folder), "--colour", "no", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"] == [72, 8, 8]


def test_a_bernoulli_likelihood_of_colours_has_a_note(folder, monkeypatch):
    heard = []
    reporter = Reporter(quiet=True)
    monkeypatch.setattr(reporter, "say", heard.append)
    train._say_if_grey(load_data(folder), ModelConfig(), reporter)
    assert "holds images in colour and binarise is none" in heard[0]
    assert "--likelihood discretised-logistic" in heard[0]
