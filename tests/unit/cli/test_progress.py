"""Progress: the stage, the speed and the time left, in 80 columns with and without a terminal."""

import io
import re

import pytest
from rich.console import Console

from elbax.cli import progress
from elbax.cli.progress import Reporter

LONG = "ciwae-k64-beta1:0:5-gradientvimco-geometric-warmup20-lr0.001-seed0-from-another"


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def perform(clock):
    """A training of 40 epochs at one a second, after 30 s of compiling; an evaluation; a page."""
    with Reporter() as reporter:
        reporter.update("compiling", 0.0, "a fleet: 30 runs in one compiled program")
        clock[0] = 30.0
        for epoch in (1, 20, 40):
            clock[0] = 30.0 + epoch
            reporter.finish("compiling")
            where = f"epoch {epoch} of 40"
            reporter.update("training 30 runs", epoch / 40, where, epochs=40)
        reporter.update("evaluating", 0.1, f"run 3 of 30, {LONG}")
        clock[0] += 20
        reporter.update("evaluating", 1.0, f"run 30 of 30, {LONG}")
        reporter.update("evaluating", 1.0, "said already")
        with reporter.during("drawing the report"):
            clock[0] += 5


def test_plain_lines_name_stage_speed_and_time_left(clock, capsys):
    perform(clock)
    assert capsys.readouterr().err.splitlines() == [
        "compiling: a fleet: 30 runs in one compiled program",
        "training 30 runs: epoch 1 of 40",
        "training 30 runs: epoch 20 of 40, 19 s, 60 epochs/min, 20 s left",
        "training 30 runs: epoch 40 of 40, 39 s, 60 epochs/min",
        f"evaluating: run 3 of 30, {LONG}"[:79] + "\N{HORIZONTAL ELLIPSIS}",
        f"evaluating: run 30 of 30, {LONG}"[:79] + "\N{HORIZONTAL ELLIPSIS}",
        "drawing the report",
    ]


def test_a_terminal_shows_the_same_without_wrapping(clock, monkeypatch):
    shown = io.StringIO()
    screen = Console(file=shown, force_terminal=True, width=80, legacy_windows=False)
    monkeypatch.setattr(progress, "Console", lambda stderr, quiet: screen)
    perform(clock)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()))
    assert max(map(len, lines)) < 80
    last = [line.rstrip() for line in lines if line.strip()][-4:]
    assert [line[:18].rstrip() for line in last] == [
        "compiling",
        "training 30 runs",
        "evaluating",
        "drawing the report",
    ]
    assert last[1].endswith("epoch 40 of 40, 60 epochs/min")
    assert last[2].endswith("\N{HORIZONTAL ELLIPSIS}")
