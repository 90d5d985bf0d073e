"""Kill a run with SIGKILL, resume it, and compare with an uninterrupted one, byte for byte.

    python benchmarks/resume.py [--epochs 6]

A fleet of five objectives on the embedded digits. Exit code 1 if a single byte differs.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METHODS = ["vae(16)", "iwae(16)", "miwae(4,4)", "piwae(4,4)", "ciwae(k=16, beta=0.5)"]


def training(folder: Path, epochs: int) -> list[str]:
    """A command that trains the fleet, or goes on with what the folder holds."""
    code = (
        "import elbax; data = elbax.load_data('digits');"
        f"elbax.fit({METHODS!r}, data, config=elbax.TrainConfig(epochs={epochs}),"
        f"directory={str(folder)!r}, resume=True, checkpoint_seconds=0)"
    )
    return [sys.executable, "-c", code]


def kill_midway(folder: Path, epochs: int) -> int:
    """Start the training, kill it midway, and count the metric lines it had written."""
    process = subprocess.Popen(training(folder, epochs))
    metrics = folder / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count("\n") < len(METHODS) * epochs // 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return metrics.read_text().count("\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    epochs = parser.parse_args().epochs
    with tempfile.TemporaryDirectory() as temporary:
        whole, killed = Path(temporary, "whole"), Path(temporary, "killed")
        lines = kill_midway(killed, epochs)
        for folder in (killed, whole):
            subprocess.run(training(folder, epochs), check=True)
        names = ["metrics.jsonl", *sorted(f"checkpoints/{p.name}" for p in whole.glob("*/*"))[-1:]]
        same = {name: (whole / name).read_bytes() == (killed / name).read_bytes() for name in names}
    print(f"killed after {lines} of {len(METHODS) * epochs} metric lines, then resumed")
    for name, equal in same.items():
        print(f"{name}: {'identical' if equal else 'DIFFERENT'}")
    return 0 if all(same.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
