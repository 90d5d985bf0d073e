"""Progress on stderr: a bar in a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_QUIET_SECONDS = 10.0  # between two lines where there is no terminal


class Reporter:
    """Tells which stage runs, how far it is, and how long it will take.

    >>> with Reporter() as reporter:
    ...     reporter.update("training", 1.0, "epoch 1 of 1")
    """

    def __init__(self):
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._tasks = {}
        self._begun: dict[str, float] = {}
        # When a stage first got somewhere, and where: what compiles or was done before counts not.
        self._from: dict[str, tuple[float, float]] = {}
        self._told = 0.0

    def __enter__(self) -> "Reporter":
        """Begin to show."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the bars as they stand."""
        if self._console.is_terminal:
            self._bar.stop()

    def update(self, stage: str, fraction: float, detail: str = "") -> None:
        """Say that `fraction` (0 to 1) of `stage` is done."""
        now = time.monotonic()
        first = stage not in self._begun
        begun = self._begun.setdefault(stage, now)
        if fraction > 0:
            self._from.setdefault(stage, (now, fraction))
        if self._console.is_terminal:
            if first:
                self._tasks[stage] = self._bar.add_task(stage, total=1.0, detail=detail)
            self._bar.update(self._tasks[stage], completed=fraction, detail=detail)
        elif first or fraction >= 1 or now - self._told >= _QUIET_SECONDS:
            self._told = now
            left = self._left(stage, fraction, now)
            sys.stderr.write(f"{stage}: {detail}, {now - begun:.0f} s{left}\n")
            sys.stderr.flush()

    def _left(self, stage: str, fraction: float, now: float) -> str:
        """How long the rest takes at the speed since the first fraction that was done."""
        since, done = self._from.get(stage, (now, fraction))
        if fraction <= done or fraction >= 1:
            return ""
        return f", about {(now - since) * (1 - fraction) / (fraction - done):.0f} s left"

    def say(self, sentence: str) -> None:
        """One line that stays."""
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)
