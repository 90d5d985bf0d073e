"""`--log`: what a command hands to a sink, that stdout stays its own, and what is refused."""

import json
from typing import ClassVar

import pytest

from elbax.cli.main import main
from elbax.cli.outcome import Outcome
from elbax.sinks import known, sinks

TINY = "--data digits --hidden 4 --latents 2 --epochs 1 --batch-size 1000".split()


class Chatty:
    """A tool that prints on stdout, as some do."""

    made: ClassVar[list] = []

    def __init__(self):
        self.made.append(self)
        self.calls = []

    def start(self, run):
        print(f"* Created new run: {run.name}")  # noqa: T201
        self.calls.append(("start", run.name, run.group))

    def metrics(self, run, step, values):
        self.calls.append(("metrics", run, values["epoch"]))

    def image(self, run, step, name, pixels):
        self.calls.append(("image", run, name))

    def artifact(self, run, path):
        self.calls.append(("artifact", run, path.name))

    def finish(self, run, status):
        print("* Run finished")  # noqa: T201
        self.calls.append(("finish", run, status))


@pytest.fixture
def chatty(monkeypatch):
    """In the place of Trackio, whether that is installed or not."""
    monkeypatch.setattr(known, "is_installed", lambda name: True)
    monkeypatch.setitem(sinks._MADE, "trackio", Chatty)
    Chatty.made.clear()
    return Chatty.made


def test_a_comparison_is_logged_with_its_results_and_prints_json_alone(
    chatty, tmp_path, capsys, monkeypatch
):
    out = str(tmp_path / "trial")

    def evaluated(runs, dataset, options, reporter):  # the real one takes long, and draws a page
        (runs.path / "results.json").write_text("{}")
        return Outcome({"runs": []}, "a table")

    monkeypatch.setattr("elbax.cli.train.evaluated", evaluated)
    monkeypatch.setattr("elbax.cli.train._monitor", lambda *arguments: None)
    words = ["compare", *TINY, "--methods", "iwae(4)", "--seeds", "0", "--out", out]
    words += ["--log", "trackio", "--json"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["folder"] == out
    assert "* Created new run" in printed.err
    assert "* Run finished" in printed.err
    [sink] = chatty
    run = "iwae-k4-seed0"
    assert sink.calls == [
        ("start", run, "trial"),
        ("metrics", run, 1),
        ("image", run, "reconstructions"),
        ("image", run, "samples"),
        ("artifact", run, "config.json"),
        ("artifact", run, "metrics.jsonl"),
        ("artifact", run, "results.json"),
        ("finish", run, "ok"),
    ]


def test_what_cannot_be_logged_to_is_said_before_anything_is_made(tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    monkeypatch.setattr(known, "is_installed", lambda name: False)
    for log, said in (
        ("wandbb", "unknown sink 'wandbb'; did you mean 'wandb'? Known: tensorboard, wandb, ml"),
        ("wandb", 'expected wandb to be installed, to log there; it is not. Run `pip install "el'),
    ):
        assert main(["train", *TINY, "--out", str(out), "--log", log]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith(f"elbax: {said}")
        assert printed.err.count("\n") == 1
    assert not out.exists()
