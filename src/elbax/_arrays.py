"""Named arrays: a pytree as a dictionary and back, and safetensors with a header and a hash.

Nothing here is pickled, and a file is believed only where its own hash agrees.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from elbax._errors import CheckpointError, InputError
from elbax._reading import UnreadableError, decoded, opened
from elbax._types import PyTree
from elbax._version import __version__

Arrays = dict[str, np.ndarray]
# TypeError and AttributeError: types that NumPy does not have, such as bfloat16.
_DAMAGED = (OSError, safetensors.SafetensorError, TypeError, AttributeError)


def named_leaves(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of a pytree by path, random keys as their data.

    Raises:
        InputError: two arrays have one name, such as {"a.b": .., "a": {"b": ..}}.

    >>> list(named_leaves({"layer": {"weight": jnp.zeros(2)}}))
    ['layer.weight']
    """
    return {name: _to_numpy(leaf) for name, leaf in with_names(tree)}


def from_named(tensors: Arrays, like: PyTree) -> PyTree:
    """Put named arrays back into the structure of `like`."""
    leaves = []
    for name, leaf in with_names(like):
        value = jnp.asarray(tensors[name])
        leaves.append(jax.random.wrap_key_data(value) if _is_key(leaf) else value)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def with_names(tree: PyTree) -> list[tuple[str, Any]]:
    """The leaves of a pytree, each with its path as a name.

    Raises:
        InputError: two of them have one name.
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = [(jax.tree_util.keystr(p, simple=True, separator="."), leaf) for p, leaf in paths]
    names = [name for name, _ in named]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"expected arrays of different names; two are called '{twice}'. Use keys without dots."
        )
    return named


def layout(tree: PyTree) -> dict[str, tuple[list[int], str]]:
    """Shape and type of every array of a pytree by name; arrays or their abstract shapes.

    >>> layout({"a": jnp.zeros((2, 3))})
    {'a': ([2, 3], '<f4')}
    """
    return {name: _layout_of(leaf) for name, leaf in with_names(tree)}


def digest(tensors: Arrays, *words: Any) -> str:
    """A sha256 of arrays by name, with their types and shapes, and of words that JSON can hold."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        found.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        found.update(tensor.data)
    for word in words:
        found.update(json.dumps(word, sort_keys=True).encode())
    return found.hexdigest()


def to_bytes(tensors: Arrays, header: dict[str, Any]) -> bytes:
    """A safetensors file; equal arrays and headers give equal bytes."""
    # One entry: safetensors writes several in random order.
    metadata = {"header": json.dumps({"elbax": __version__, **header}, sort_keys=True)}
    return safetensors.numpy.save(tensors, metadata)


def read_file(
    path: Path,
    what: str,
    newest_format: int,
    damaged: Callable[[str], CheckpointError],
    hashed: Callable[[dict[str, Any]], tuple] = lambda header: (),
) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of a file that `to_bytes` made, its hash checked.

    Args:
        path: the file.
        what: what it is, for messages: "checkpoint".
        newest_format: the largest `format` in the header that is understood.
        damaged: the error for a file that is not whole, from the reason.
        hashed: what of the header is in the hash.

    Raises:
        CheckpointError: not such a file, truncated or altered, or of a newer format.
    """
    try:
        opened(path).close()
        with safetensors.safe_open(path, framework="numpy") as file:
            header = _header(path, what, newest_format, file.metadata() or {}, damaged)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except PermissionError as error:
        raise CheckpointError(f"cannot read '{path}' ({error}); check its permissions.") from error
    except (*_DAMAGED, UnreadableError) as error:
        raise damaged(str(error)) from error
    if digest(tensors, *hashed(header)) != header.get("sha256"):
        raise damaged("its contents do not match its sha256")
    return header, tensors


def read_header(path: Path) -> dict[str, Any]:
    """The header of a file that `to_bytes` made, as it says; empty where it says nothing."""
    try:
        opened(path).close()
        with safetensors.safe_open(path, framework="numpy") as file:
            return decoded((file.metadata() or {})["header"].encode())
    except (*_DAMAGED, UnreadableError, KeyError, ValueError):
        return {}


def _header(path, what: str, newest: int, metadata: dict[str, str], damaged) -> dict[str, Any]:
    try:
        header = decoded(metadata["header"].encode())
        written = int(header["format"])
    except (KeyError, TypeError, ValueError, OverflowError, UnreadableError):
        raise damaged("it has no elbax header") from None
    if written > newest:
        raise CheckpointError(
            f"{what} '{path}' has format {written}, written by elbax {header.get('elbax')}; "
            f"this is elbax {__version__}, which reads up to format {newest}. Upgrade elbax."
        )
    return header


def _is_key(leaf) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _to_numpy(leaf: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _layout_of(leaf) -> tuple[list[int], str]:
    if _is_key(leaf):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    return list(leaf.shape), np.dtype(leaf.dtype).str
