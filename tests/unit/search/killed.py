"""A search of its own process, which may kill itself: python -m tests.unit.search.killed FOLDER N.

N is after how many training steps' worth of chunks it is killed; 0 lets it end.
"""

import os
import signal
import sys

from elbax.training.fit import fit
from tests.unit.search.searches import search


def main(folder: str, chunks: int) -> None:
    told = []

    def train(*arguments, progress, **options):
        def count(now):
            told.append(now)
            if chunks and len(told) == chunks:
                os.kill(os.getpid(), signal.SIGKILL)
            progress(now)

        return fit(*arguments, progress=count, **options)

    search(folder, train=train, checkpoint_seconds=0.0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
