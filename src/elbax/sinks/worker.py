"""A sink behind a thread of its own: whoever calls it never waits for it, and never fails by it."""

import queue
import threading
import time
from collections.abc import Callable

from elbax.sinks.protocol import Sink

_MOST_WAITING = 10_000  # calls; a sink that hangs should not fill the memory of a long training


class Worker:
    """Calls a sink, one call after the other, until it fails.

    Attributes:
        name: of the sink, as warnings have it.
        sink: what is called.
        failure: why it is not called any more, as a clause; None while all is well.
    """

    def __init__(self, name: str, sink: Sink):
        self.name, self.sink = name, sink
        self.failure: str | None = None
        self._calls: queue.Queue[Callable[[Sink], None] | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None

    def call(self, what: Callable[[Sink], None]) -> None:
        """Let the sink do something when its time comes; returns at once."""
        if self._thread is None:
            # A daemon, so that a process can end whose sink hangs.
            self._thread = threading.Thread(target=self._work, name=f"log-{self.name}", daemon=True)
            self._thread.start()
        self._put(what)

    def end(self) -> None:
        """Let the thread end once all is done that it was told; returns at once."""
        if self._thread is not None:
            self._put(None)

    def wait(self, until: float) -> None:
        """Wait for that end, but not past a time of `time.monotonic`; then give the sink up."""
        if self._thread is None or self.failure is not None:
            return
        begun = time.monotonic()
        self._thread.join(max(0.0, until - begun))
        if self._thread.is_alive() and self.failure is None:
            self.failure = "it was not done in time after the end of the training"

    def _put(self, what: Callable[[Sink], None] | None) -> None:
        if self.failure is not None:
            return
        try:
            self._calls.put_nowait(what)
        except queue.Full:
            self.failure = f"it does not answer, and {_MOST_WAITING} calls are waiting for it"

    def _work(self) -> None:
        while (what := self._calls.get()) is not None and self.failure is None:
            try:
                what(self.sink)
            except BaseException as error:  # noqa: BLE001 (a tool that exits must not end a run)
                why = str(error).strip().partition("\n")[0]
                self.failure = f"{type(error).__name__}: {why}" if why else type(error).__name__
