"""Progress on stderr: a bar in a terminal, a line now and then elsewhere, in 80 columns."""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from elbax.cli.outcome import WIDTH, cut, duration

_QUIET_SECONDS = 10.0  # between two lines where there is no terminal
_STAGE, _BAR = 21, 8  # columns in a terminal; the rest is for what is told
_TOLD = WIDTH - _STAGE - _BAR - 3  # less two gaps, and the last column, after which some wrap


@dataclass
class _Stage:
    """When a stage began, and when it first got somewhere and where.

    What compiles or was done before that says nothing about speed.
    """

    begun: float
    task: TaskID | None = None
    since: tuple[float, float] | None = None
    done: bool = False

    def rate(self, now: float, fraction: float) -> float:
        """How much of the stage is done in a second; 0 where that is not known yet."""
        if self.since is None or now <= self.since[0]:
            return 0.0
        return (fraction - self.since[1]) / (now - self.since[0])


class Reporter:
    """Tells which stage runs, how far it is, how fast, and how long it will take.

    Args:
        quiet: tell nothing: nobody looks.

    >>> with Reporter() as reporter:
    ...     reporter.update("training", 1.0, "epoch 1 of 1")
    """

    def __init__(self, *, quiet: bool = False):
        self._console = Console(stderr=True, quiet=quiet)
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}", markup=False, table_column=_column(_STAGE)),
            BarColumn(_BAR),
            TextColumn("{task.fields[told]}", markup=False, table_column=_column(_TOLD)),
            console=self._console,
        )
        self._stages: dict[str, _Stage] = {}
        self._told = 0.0

    @property
    def is_terminal(self) -> bool:
        """Whether bars are shown."""
        return self._console.is_terminal and not self._quiet

    def __enter__(self) -> "Reporter":
        """Begin to show."""
        if self.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the bars as they stand."""
        if self.is_terminal:
            self._bar.stop()

    def update(self, stage: str, fraction: float, detail: str = "", epochs: int = 0) -> None:
        """Say that `fraction` (0 to 1) of `stage` is done.

        Args:
            stage: what is done: compiling, training, ...
            fraction: how much of it; 0 where that is not known.
            detail: where it stands, in words.
            epochs: how many epochs all of it has, for the speed.
        """
        now = time.monotonic()
        first = stage not in self._stages
        mine = self._stages.setdefault(stage, _Stage(now))
        if mine.done:
            return
        if fraction > 0 and mine.since is None:
            mine.since = now, fraction
        mine.done = fraction >= 1
        told = [detail] if detail else []
        told += _speed(mine.rate(now, fraction), fraction, epochs)
        if self.is_terminal:
            self._show(mine, stage, fraction, ", ".join(told))
        elif not self._quiet and (first or mine.done or now - self._told >= _QUIET_SECONDS):
            self._told = now
            told[1:1] = [duration(now - mine.begun)] if not first else []
            sys.stderr.write(cut(": ".join([stage, *([", ".join(told)] if told else [])])) + "\n")
            sys.stderr.flush()

    def _show(self, mine: _Stage, stage: str, fraction: float, told: str) -> None:
        if mine.task is None:
            mine.task = self._bar.add_task(stage, total=None, told=told)
        total = 1.0 if fraction > 0 else None  # until then the bar only says that it goes on
        self._bar.update(mine.task, total=total, completed=fraction, told=told)

    def finish(self, stage: str) -> None:
        """A stage that was begun is over; there is nothing to say of it."""
        mine = self._stages.get(stage)
        if mine is None or mine.done:
            return
        mine.done = True
        if mine.task is not None:
            self._bar.update(mine.task, total=1.0, completed=1.0)

    @contextlib.contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Name a stage of unknown length."""
        self.update(stage, 0.0)
        yield
        self.finish(stage)

    def say(self, sentence: str) -> None:
        """One line that stays."""
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _column(width: int) -> Column:
    return Column(no_wrap=True, overflow="ellipsis", max_width=width)


def _speed(rate: float, fraction: float, epochs: int) -> list[str]:
    """Epochs a minute, and how long the rest takes at that speed, where it is known."""
    if rate <= 0:
        return []
    speed = 60 * rate * epochs
    found = [f"{speed:.{0 if speed >= 10 else 1}f} epochs/min"] if epochs else []
    return found + ([f"{duration((1 - fraction) / rate)} left"] if fraction < 1 else [])
