"""`elbax status`: where runs stand, from any terminal that sees their folder."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from elbax.cli import options as o
from elbax.cli.outcome import WIDTH, Outcome, cut, duration, filled
from elbax.runs.status import FolderStatus, statuses
from elbax.training.claims import STALE_SECONDS

_AGAIN_SECONDS = 5.0
_NAME = 34  # columns of a folder's name
_DEAD = (
    f"dead: its process gave no sign of life for {STALE_SECONDS:.0f} s. The next command that "
    "wants these runs takes them over from their last checkpoint."
)


def status(options: o.Status) -> Outcome:
    """Say where the runs in and below a folder stand."""
    root = Path(options.folder)
    found = statuses(root)
    while options.watch and not all(one.is_trained and not one.is_at_work for one in found):
        sys.stderr.write(f"{_text(root, found)}\n\n")
        sys.stderr.flush()
        time.sleep(_AGAIN_SECONDS)
        found = statuses(root)
    return Outcome({"folders": [_content(one) for one in found]}, _text(root, found))


def _content(one: FolderStatus) -> dict[str, Any]:
    return asdict(one) | {"folder": str(one.folder)}


def _text(root: Path, found: Sequence[FolderStatus]) -> str:
    """A line for each folder within 80 columns, and a sentence about all of them."""
    names = [_name(root, one) for one in found]
    width = max(len("folder"), *map(len, names))
    lines = [f"{'folder':{width}}  runs  state       epoch         left  worker"]
    for name, one in zip(names, found, strict=True):
        epoch = f"{one.epoch}/{one.epochs}" if one.epochs else ""
        left = "" if one.left is None else duration(one.left)
        worker = one.worker.replace(", process ", " ").replace("process ", "")
        line = f"{name:{width}}  {one.num_runs:4}  {one.state:10}  {epoch:10} {left:>7}  {worker}"
        lines.append(cut(line.rstrip(), WIDTH))
    done = len([one for one in found if one.is_trained])
    at_work = len([one for one in found if one.is_at_work])
    lines += ["", f"{done} of {len(found)} folders are trained, {at_work} are at work."]
    if any(one.state == "dead" for one in found):
        lines.append(filled(_DEAD))
    return "\n".join(lines)


def _name(root: Path, one: FolderStatus) -> str:
    name = str(one.folder.relative_to(root)) if one.folder != root else root.name
    return cut(name, _NAME, ending=10)
