"""A short torture: damaged files of every kind, and a command killed and failed here and there.

The long ones are `make torture`.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path):
    spec = importlib.util.spec_from_file_location("torture", BENCHMARKS / "torture.py")
    torture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(torture)
    found = torture.campaign(tmp_path / "all", 20, seed=0)
    assert len(found) > 20
    for kind, counts in found.items():
        assert set(counts) <= {"read", "refused"}, (kind, counts)
    assert sum(counts["refused"] for counts in found.values()) > 8


def test_kills_and_faults_lose_nothing():
    """In a process of its own: it forks, which one that has computed with JAX must not."""
    words = ["--kills", "1", "--faults", "1", "--seed", "3", "--commands", "train"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "kills.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills and faults, 0 that lost or changed anything" in done.stdout
