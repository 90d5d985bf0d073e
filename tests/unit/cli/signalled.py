"""An `elbax` command that sends itself a signal when step AT of its training is done.

`python -m tests.unit.cli.signalled SIGNAL AT WORDS...`: with AT 0 the signal comes while the
training program is compiled.
"""

import os
import signal
import sys
import time

import elbax.training.loop as loop_module
from elbax.cli import training
from elbax.cli.main import main
from elbax.cli.signals import SIGNALS
from elbax.training.step import Program

from ..training.runs import Clock


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))
    while not SIGNALS.stop():  # it is heard in another thread
        time.sleep(0.01)


def trained(name: str, at: int):
    """`fit` on a slow machine, whose chunks are a few steps, with the signal on its way."""
    fit = training.fit

    def fit_and_send(*arguments, progress, **options):
        def told(now):
            progress(now)
            if now.step == at:
                send(name)

        return fit(*arguments, progress=told, **options)

    return fit_and_send


def compiled(name: str) -> None:
    """Let the signal come from within the tracing of the training program."""
    chunk = Program.chunk

    def chunk_and_send(self, *arguments):
        send(name)
        return chunk(self, *arguments)

    Program.chunk = chunk_and_send


if __name__ == "__main__":
    name, at = sys.argv[1], int(sys.argv[2])
    if at == 0:
        compiled(name)
    loop_module.time = Clock()
    training.fit = trained(name, at)
    raise SystemExit(main(sys.argv[3:]))
