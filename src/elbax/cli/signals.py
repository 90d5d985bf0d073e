"""SIGINT and SIGTERM: training saves where it stands, anything else ends; a second one ends now.

A thread is told of a signal by the system itself, so that it is heard while the main thread
compiles for minutes, and nothing that swallows exceptions can lose it.
"""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from elbax.launch.work import STOPPING

_HEARD = (signal.SIGINT, signal.SIGTERM)
_ENDED = b"\0"  # no signal's number


class Signals:
    """What has been heard while a command runs.

    Attributes:
        received: the first signal, or None.
    """

    def __init__(self):
        self.received: signal.Signals | None = None
        self._is_training = False

    def stop(self) -> bool:
        """Whether training is to save and end; asked between two chunks of steps."""
        return self.received is not None or STOPPING.is_set()

    @property
    def exit_code(self) -> int:
        """As shells count: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + int(self.received or signal.SIGINT)

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """While training, a signal waits for the end of a chunk instead of ending the command."""
        self._is_training = True
        try:
            yield
        finally:
            self._is_training = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen, in the main thread; elsewhere, as in tests of others, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.received = None
        read, write = os.pipe()
        os.set_blocking(write, False)
        # What the caller ignores (nohup, a job in the background) stays ignored.
        heard = [one for one in _HEARD if signal.getsignal(one) is not signal.SIG_IGN]
        before = [signal.signal(one, self._in_main_thread) for one in heard]
        wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        listener = threading.Thread(target=self._listen, args=(read,), daemon=True)
        listener.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in zip(heard, before, strict=True):
                signal.signal(number, handler)
            os.write(write, _ENDED)
            listener.join()  # what it had still to hear is of this command, not of the next
            os.close(write)
            os.close(read)

    def _listen(self, read: int) -> None:
        first = True
        while (byte := os.read(read, 1)) != _ENDED:
            if byte[0] not in _HEARD:
                continue
            if not first:
                _say("ended at once; what was saved before is whole")
                os._exit(128 + byte[0])
            first = False
            self._receive(byte[0])
            if self._is_training:
                name = signal.Signals(byte[0]).name
                _say(f"{name}: saving after this step; once more ends at once")

    def _receive(self, number: int) -> None:
        self.received = self.received or signal.Signals(number)

    def _in_main_thread(self, number: int, _frame) -> None:
        self._receive(number)
        if not self._is_training:
            raise KeyboardInterrupt


SIGNALS = Signals()


def continued(words: Sequence[str], folder: str | None) -> str:
    """The command that goes on with what was saved: itself, with --resume for a run folder.

    >>> continued(["train", "--k", "4"], "runs/a")
    'Go on with: elbax train --k 4 --out runs/a --resume'
    """
    words = [word for word in words if word not in ("--resume", "--overwrite")]
    if folder is not None:
        named = any(word.partition("=")[0] == "--out" for word in words)
        words += ([] if named else ["--out", folder]) + ["--resume"]
    return f"Go on with: {shlex.join(['elbax', *words])}"


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h\n")  # a progress bar hides the cursor
        sys.stderr.write(f"elbax: {sentence}.\n")
        sys.stderr.flush()
