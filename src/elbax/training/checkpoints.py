"""Checkpoints: a fleet's stacked state in safetensors, each leaf by name, nothing pickled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elbax._arrays import digest, from_named, named_leaves, read_file, read_header, to_bytes
from elbax._errors import CheckpointError
from elbax._files import write_atomically
from elbax._types import PyTree

FORMAT = 1


class DamagedError(CheckpointError):
    """A checkpoint whose bytes are not those that were written; the one before it may be whole."""


def save(path: Path, states: Sequence[PyTree], *, identity: str) -> None:
    """Write the states of all runs, whole or not at all.

    Args:
        path: the file.
        states: one pytree of arrays per run, of equal structure; they are stacked to `[R, ...]`.
        identity: the hash of the configuration they belong to.

    Raises:
        OutputError: it cannot be written; an older file of that name survives.
    """
    named = [named_leaves(state) for state in states]
    tensors = {name: np.stack([leaves[name] for leaves in named]) for name in named[0]}
    header = {"format": FORMAT, "identity": identity, "sha256": digest(tensors)}
    write_atomically(path, to_bytes(tensors, header))


def load(path: Path, like: PyTree, *, identity: str, partial: bool = False) -> list[PyTree]:
    """Read the states of all runs.

    Args:
        path: the file.
        like: one run's state; its names and shapes are what the file must hold.
        identity: the hash of the configuration that is expected.
        partial: let the file hold more than `like` does.

    Raises:
        DamagedError: the file is truncated or altered.
        CheckpointError: it is of a newer format, or belongs to another model, precision or
            configuration; the message says which.
    """
    header, tensors = _read(path)
    if header.get("identity") != identity:
        raise CheckpointError(
            f"checkpoint '{path}' belongs to another configuration; resume with the configuration "
            "it was trained with, or choose another folder."
        )
    expected = named_leaves(like)
    if partial:
        tensors = {name: tensor for name, tensor in tensors.items() if name in expected}
    _check_names(path, expected, tensors)
    counts = {tensor.shape[:1] for tensor in tensors.values()}
    if len(counts) > 1 or () in counts:
        raise DamagedError(_damaged(path, "its arrays are of different numbers of runs"))
    ((num_runs,),) = counts
    return [
        from_named({name: np.asarray(tensor[i]) for name, tensor in tensors.items()}, like)
        for i in range(num_runs)
    ]


def is_whole(path: Path) -> bool:
    """Whether a checkpoint's bytes are those that were written."""
    try:
        _read(path)
    except CheckpointError:
        return False
    return True


def content_hash(path: Path) -> str:
    """The hash of a checkpoint's states, as the file itself says; "" where it says none."""
    return str(read_header(path).get("sha256", ""))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return read_file(path, "checkpoint", FORMAT, lambda why: DamagedError(_damaged(path, why)))


def _check_names(path: Path, expected: dict, tensors: dict) -> None:
    wanted = {name: (list(leaf.shape), leaf.dtype.str) for name, leaf in expected.items()}
    found = {name: (list(leaf.shape[1:]), leaf.dtype.str) for name, leaf in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) == found.get(name):
            continue
        if _shapes(wanted) == _shapes(found):
            raise CheckpointError(
                f"checkpoint '{path}' is of another precision: {name} should be "
                f"{wanted[name][1]}, the file has {found[name][1]}. Set JAX_ENABLE_X64 as it was "
                "when it was trained."
            )
        raise CheckpointError(
            f"checkpoint '{path}' is of another model: {name} should be "
            f"{wanted.get(name, 'absent')}, the file has {found.get(name, 'none')}. Load it "
            "with the model it was trained with."
        )


def _shapes(leaves: dict[str, tuple[list[int], str]]) -> dict[str, list]:
    """Shapes and kinds (float, int, ..) of leaves, without their precision."""
    return {name: [*shape, dtype[1]] for name, (shape, dtype) in leaves.items()}


def _damaged(path: Path, why: str) -> str:
    return (
        f"checkpoint '{path}' is truncated or damaged ({why}). Put it back from a copy; where "
        "no other checkpoint is whole, begin again with --overwrite."
    )
