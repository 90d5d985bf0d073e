"""What an evaluation found, as files of a run folder: written by its setting, and found again."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elbax._files import json_bytes, write_atomically
from elbax._reading import UnreadableError, read_json, read_npz
from elbax.training import checkpoints
from elbax.training.folder import newest_checkpoint


def setting_of(ks: Sequence[int], num_data: int, seed: int) -> dict[str, Any]:
    """What an evaluation depends on beside the runs, as results.json has it."""
    return {"ks": sorted(set(ks)), "num_data": num_data, "seed": seed}


def setting_files(folder: Path, setting: dict[str, Any]) -> tuple[Path, Path]:
    """Where the results and the arrays of one setting are kept.

    >>> [path.name for path in setting_files(Path(), setting_of((1, 64), 360, 0))]
    ['results-k1-64-n360-seed0.json', 'per_datum-k1-64-n360-seed0.npz']
    """
    ks = "-".join(map(str, setting["ks"]))
    if len(ks) > 100:  # a name has room for 255 characters
        ks = hashlib.sha256(ks.encode()).hexdigest()[:16]
    name = f"k{ks}-n{setting['num_data']}-seed{setting['seed']}"
    return folder / f"results-{name}.json", folder / f"per_datum-{name}.npz"


def find_results(folder: Path, setting: dict[str, Any]) -> tuple[dict[str, Any], Path] | None:
    """The results of one setting for the runs as they are now, and the file with their arrays.

    Returns:
        None where there are none.
    """
    newest = newest_checkpoint(folder)
    if newest is None:
        return None
    own = setting_files(folder, setting)
    for results, arrays in (own, (folder / "results.json", folder / "per_datum.npz")):
        try:
            content = read_json(results)
            evaluation, _ = content["evaluation"], content["runs"][0]["metrics"]
            found = {name: evaluation[name] for name in setting}
            if "checkpoint" in evaluation:  # what is written last says that all is written
                current = (
                    results == own[0]
                    and evaluation["checkpoint"] == checkpoints.content_hash(newest)
                    and evaluation_of(arrays) == setting_stamp(evaluation)
                )
            else:  # written by an earlier elbax
                current = results.stat().st_mtime >= newest.stat().st_mtime and arrays.exists()
        except (OSError, UnreadableError, LookupError, TypeError):
            continue
        if found == setting and current:
            return content, arrays
    return None


def write_results(folder: Path, setting: dict, results: dict, arrays: dict) -> None:
    """Results and arrays as the latest, and under the names of their setting.

    The last file is the one by which they are found again: cut short, they are not.
    """
    _keep_earlier(folder)
    own_results, own_arrays = setting_files(folder, setting)
    latest = (folder / "results.json", folder / "per_datum.npz")
    for results_path, arrays_path in (latest, (own_results, own_arrays)):
        write_arrays(arrays_path, **arrays, setting=np.array(setting_stamp(setting)))
        write_atomically(results_path, json_bytes(results))


def _keep_earlier(folder: Path) -> None:
    """Give results of an earlier elbax the name of their setting before they are replaced."""
    try:
        setting = read_json(folder / "results.json")["evaluation"]
        own_results, own_arrays = setting_files(folder, setting)
        if "checkpoint" not in setting and not own_results.exists():
            os.replace(folder / "per_datum.npz", own_arrays)
            os.replace(folder / "results.json", own_results)
    except (OSError, UnreadableError, ValueError, KeyError, TypeError, AttributeError):
        return


def setting_stamp(evaluation: dict[str, Any]) -> str:
    """What lies beside arrays, to tell which evaluation of which checkpoint they are of."""
    named = {name: evaluation.get(name) for name in ("ks", "num_data", "seed", "checkpoint")}
    return json.dumps(named, sort_keys=True)


def evaluation_of(path: Path) -> str | None:
    """The stamp of a file of arrays; None where it has none or cannot be read."""
    try:
        setting = read_npz(path).get("setting")
        return None if setting is None else str(setting)
    except (OSError, UnreadableError):
        return None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of every datum, by name, `[R, ..]`."""
    return {name: array for name, array in read_npz(path).items() if name != "setting"}


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Arrays by name into one .npz, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())
