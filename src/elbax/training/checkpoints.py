"""Checkpoints: a fleet's stacked state in safetensors, each leaf by name, nothing pickled."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from elbax._errors import CheckpointError
from elbax._files import write_atomically
from elbax._types import PyTree
from elbax._version import __version__

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
    header = {
        "format": FORMAT,
        "elbax": __version__,
        "identity": identity,
        "sha256": _digest(tensors),
    }
    # One entry: safetensors writes several in random order, and equal states give equal bytes.
    metadata = {"header": json.dumps(header, sort_keys=True)}
    write_atomically(path, safetensors.numpy.save(tensors, metadata))


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
    num_runs = next(iter(tensors.values())).shape[0]
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
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return str(_header(path, file.metadata() or {}).get("sha256", ""))
    except (OSError, safetensors.SafetensorError, CheckpointError):
        return ""


def named_leaves(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of a pytree by path, random keys as their data.

    >>> list(named_leaves({"layer": {"weight": jnp.zeros(2)}}))
    ['layer.weight']
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): _to_numpy(leaf)
        for path, leaf in paths
    }


def from_named(tensors: dict[str, np.ndarray], like: PyTree) -> PyTree:
    """Put named arrays back into the structure of `like`."""
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    leaves = []
    for path, leaf in paths:
        value = jnp.asarray(tensors[jax.tree_util.keystr(path, simple=True, separator=".")])
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        leaves.append(jax.random.wrap_key_data(value) if is_key else value)
    return jax.tree.unflatten(structure, leaves)


def _to_numpy(leaf: jax.Array) -> np.ndarray:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = _header(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except PermissionError as error:
        raise CheckpointError(f"cannot read '{path}' ({error}); check its permissions.") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise DamagedError(_damaged(path, str(error))) from error
    if _digest(tensors) != header.get("sha256"):
        raise DamagedError(_damaged(path, "its contents do not match its sha256"))
    return header, tensors


def _header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata["header"])
        written = int(header["format"])
    except (KeyError, TypeError, ValueError):
        raise DamagedError(_damaged(path, "it has no elbax header")) from None
    if written > FORMAT:
        raise CheckpointError(
            f"checkpoint '{path}' has format {written}, written by elbax {header.get('elbax')}; "
            f"this is elbax {__version__}, which reads up to format {FORMAT}. Upgrade elbax."
        )
    return header


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
        f"checkpoint '{path}' is truncated or damaged ({why}). Put it back from a copy; without "
        "it the run resumes from the checkpoint before it."
    )


def _digest(tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        digest.update(tensor.data)
    return digest.hexdigest()
