"""Train and log in a folder, then die of SIGKILL in the fourth epoch, the second's checkpoint last.

`python -m tests.unit.sinks.killed FOLDER LOG`
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from elbax.training.folder import RunFolder

from .runs import PER_EPOCH, logged


def is_told(path: Path) -> bool:
    """Whether three epochs of both runs were handed over to the tool, which may still hold them."""
    if not path.exists():
        return False
    [runs] = json.loads(path.read_text()).values()
    return [run["logged"] for run in runs.values()] == [3 * PER_EPOCH] * 2


if __name__ == "__main__":
    save = RunFolder.checkpoint

    def until_the_second(self, states, *counts):
        if int(states[0].step) <= 2 * PER_EPOCH:
            save(self, states, *counts)

    def monitor(look):
        if look.epoch == 4:
            while not is_told(Path(sys.argv[1]) / "sinks.json"):
                time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)

    RunFolder.checkpoint = until_the_second
    logged(sys.argv[2], directory=Path(sys.argv[1]), monitor=monitor, checkpoint_seconds=0.0)
