"""Kills and faults: commands ended anywhere, taken up again, compared with undisturbed ones.

Kills come at random moments; faults at every point where a command touches its folder (a file
opened, moved or removed, a write synced): the process dies there, with half of what it wrote, or
the system says EIO or ENOSPC. After each, the same command again has to come to the same end,
byte for byte but for times, and whatever lies there between may not mislead a reader.

    python benchmarks/kills.py --kills 300 --faults 300
"""

import argparse
import collections
import contextlib
import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Imported before any fork; JAX starts its threads only when it first computes.
from elbax.cli.main import main as command
from elbax.runs.read import read_results
from elbax.training.checkpoints import content_hash

TIMES = ("seconds", "fleet_seconds", "compilations", "earlier")
WAYS = ("kill", "torn", "EIO", "ENOSPC")
_WRITES = os.O_WRONLY | os.O_RDWR

TINY = ["--hidden", "4", "--latents", "2", "--epochs", "3", "--batch-size", "20"]
METHODS = ["--methods", "vae(4)", "iwae(4)", "--seeds", "0", "1"]
EVALUATED = ["--ks", "1", "8", "--num-data", "10"]


def commands(root: Path) -> dict[str, tuple[Path, list[str]]]:
    """What is tried: the folder that each command writes, and its words."""
    data = root / "own.npy"
    trained = ["--data", str(data), *TINY, "--resume", "--checkpoint-seconds", "0"]
    return {
        "train": (root / "train", ["train", "--method", "iwae(4)", *trained]),
        "compare": (root / "compare", ["compare", *METHODS, *trained, *EVALUATED]),
        "evaluate": (root / "evaluate", ["evaluate", *EVALUATED, "--active-units"]),
        "report": (root / "report", ["report"]),
        "reproduce": (
            root / "reproduce",
            ["reproduce", "log-expectation", "--data", str(data), "--epochs", "2",
             "--num-data", "10", "--seeds", "0"],
        ),
    }  # fmt: skip


def words_for(words: list[str], folder: Path) -> list[str]:
    by_position = words[0] in ("evaluate", "report")
    return [words[0], str(folder), *words[1:]] if by_position else [*words, "--out", str(folder)]


class Points:
    """The points at which a process touches a folder: counted, or one of them made to fail."""

    def __init__(self, folder: Path, at: int = -1, way: str = ""):
        self.folder, self.at, self.way, self.seen = str(folder), at, way, 0
        self._fsync = os.fsync

    def install(self) -> None:
        sys.addaudithook(self._audited)
        os.fsync = self._synced

    def _audited(self, event: str, args: tuple) -> None:
        if event == "open":
            touched = isinstance(args[2], int) and args[2] & _WRITES
        else:
            touched = event in ("os.rename", "os.remove", "os.mkdir")
        if touched and str(args[0]).startswith(self.folder):
            self._point(None)

    def _synced(self, file: int) -> None:
        self._point(file)
        self._fsync(file)

    def _point(self, file: int | None) -> None:
        self.seen += 1
        if self.seen - 1 != self.at:
            return
        if self.way == "torn" and file is not None:
            os.ftruncate(file, os.fstat(file).st_size // 2)
        if self.way in ("kill", "torn"):
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(getattr(errno, self.way), os.strerror(getattr(errno, self.way)))


def forked(words: list[str], said: Path, points: Points | None = None) -> int:
    """Begin a command in a process of its own; its pid."""
    pid = os.fork()
    if pid:
        return pid
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["ELBAX_TRACEBACK"] = ""
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        if points is not None:
            points.install()
        code = 70
        with contextlib.suppress(BaseException):
            code = command(words)
        file.flush()
        if points is not None:
            said.with_suffix(".points").write_text(str(points.seen))
    os._exit(code)


def ended(pid: int) -> int:
    """Wait for it: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state(folder: Path) -> dict[str, str]:
    """Every file of a folder as a hash, times left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == ".claim":  # a lock that nobody holds
            continue
        if path.is_dir() or ("checkpoints" in path.parts[:-1] and "step" not in path.name):
            continue
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            content = json.dumps(_without_times(json.loads(path.read_text())), sort_keys=True)
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                content = repr([(key, arrays[key].tobytes()) for key in sorted(arrays)])
        elif path.suffix == ".safetensors":
            name, content = f"{path.parent.name}: newest checkpoint", content_hash(path)
        elif path.suffix == ".html":
            content = str(path.read_text().rstrip().endswith("</html>"))
        else:
            content = path.read_bytes().hex()
        found[name] = hashlib.sha256(content.encode()).hexdigest()[:16]
    return found


def _without_times(value):
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name not in TIMES}
    if isinstance(value, list):
        return [_without_times(one) for one in value]
    # A sentence or a table of a page that says how long something took.
    return re.sub(r"[\d.]+ (s|min|h)\b", "", value) if isinstance(value, str) else value


def misleads(folder: Path) -> str:
    """What a reader of the folder as it lies there now would take for true and is not."""
    results, arrays = folder / "results.json", folder / "per_datum.npz"
    if not results.exists() or not arrays.exists():
        return ""
    try:
        content = read_results(folder)
    except ElbaxError:
        return ""  # it says so
    with np.load(arrays) as found:
        bounds = found["bounds"]
    for place, run in enumerate(content["runs"]):
        for row, k in enumerate(content["evaluation"]["ks"]):
            mean = run["metrics"][f"iwae_{k}"]
            if abs(mean - bounds[place, row].mean()) > 1e-4 * abs(mean):
                return f"IWAE-{k} of {run['name']} in results.json and in per_datum.npz differ"
    return ""


class Trial:
    """One command, its undisturbed end, and where its folder begins."""

    def __init__(self, name: str, folder: Path, words: list[str], before: Path | None):
        self.name, self.folder, self.before = name, folder, before
        self.words = words_for(words, folder)
        self.said = folder.with_name(f"{folder.name}.said")
        self.begin()
        points = Points(folder)  # once to fill the cache of compiled programs, then by the clock
        assert ended(forked(self.words, self.said, points)) == 0, self.said.read_text()
        self.begin()
        begun = time.perf_counter()
        assert ended(forked(self.words, self.said, points)) == 0, self.said.read_text()
        self.seconds = time.perf_counter() - begun
        self.num_points = int(self.said.with_suffix(".points").read_text())
        self.end = state(folder)

    def begin(self) -> None:
        """Put the folder as it is before the command."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.before is not None:
            shutil.copytree(self.before, self.folder)

    def outcome(self, disturb: Callable[[int], None] | None, points: Points | None) -> str:
        """ "same", or the defect."""
        self.begin()
        pid = forked(self.words, self.said, points)
        if disturb is not None:
            disturb(pid)
        code, text = ended(pid), self.said.read_text()
        if "Traceback" in text or code not in (0, 1, 2, -signal.SIGKILL):
            return f"ended by {code}: {text[-200:]!r}"
        if misled := misleads(self.folder):
            return misled
        again = ended(forked(self.words, self.said))
        if again != 0:
            return f"the same command again ended by {again}: {self.said.read_text()[-300:]!r}"
        now = state(self.folder)
        others = sorted(
            name for name in self.end.keys() | now.keys() if self.end.get(name) != now.get(name)
        )
        return f"another end: {', '.join(others[:3])}" if others else "same"


def trials(root: Path, names: list[str]) -> list[Trial]:
    """The named commands, after what comes before them was done."""
    rng = np.random.default_rng(0)
    np.save(root / "own.npy", (rng.random((60, 9)) < 0.5).astype(np.float32))
    planned, found = commands(root), []
    for name in names:
        folder, words = planned[name]
        before = None
        if name in ("evaluate", "report"):  # of runs that are there
            before, compare = root / f"{name}-before", planned["compare"][1]
            assert ended(forked(words_for(compare, before), root / "before.said")) == 0
        found.append(Trial(name, folder, words, before))
    return found


def _killer(seconds: float) -> Callable[[int], None]:
    def kill(pid: int) -> None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)

    return kill


def campaign(
    root: Path, names: list[str], kills: int, faults: int, seed: int
) -> dict[str, collections.Counter]:
    """So many kills and faults, spread evenly over the commands."""
    rng, found, all_of_them = random.Random(seed), {}, trials(root, names)
    for trial in all_of_them:
        counts = found.setdefault(f"{trial.name}, kills", collections.Counter())
        for _ in range(-(-kills // len(all_of_them))):
            delay = rng.uniform(0, trial.seconds)
            counts[
                trial.outcome(
                    lambda pid, s=delay: (time.sleep(s), os.kill(pid, signal.SIGKILL)), None
                )
            ] += 1
        counts = found.setdefault(
            f"{trial.name}, faults at {trial.num_points} points", collections.Counter()
        )
        points = [(at, way) for at in range(trial.num_points) for way in WAYS]
        for at, way in rng.sample(points, min(len(points), -(-faults // len(all_of_them)))):
            outcome = trial.outcome(None, Points(trial.folder, at, way))
            counts[outcome if outcome == "same" else f"{way} at point {at}: {outcome}"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", default=list(commands(Path())))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(
            Path(folder), options.commands, options.kills, options.faults, options.seed
        )
    defects = 0
    for name, counts in found.items():
        others = {what: count for what, count in counts.items() if what != "same"}
        defects += sum(others.values())
        print(f"{name:38} same {counts['same']:4}, other {sum(others.values())}")
        for what, count in sorted(others.items(), key=lambda item: -item[1]):
            print(f"    {count:4} {what}")
    total = sum(sum(counts.values()) for counts in found.values())
    print(f"{total} kills and faults, {defects} that lost or changed anything")
    raise SystemExit(defects > 0)


if __name__ == "__main__":
    main()
