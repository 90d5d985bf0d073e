"""One model in one file: its arrays by name in safetensors, and what rebuilds it in the header."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from elbax._arrays import Arrays, digest, from_named, layout, read_file, to_bytes, with_names
from elbax._errors import CheckpointError, InputError
from elbax._files import write_atomically
from elbax._types import PRNGKey
from elbax.models.describe import described, rebuilt
from elbax.models.interface import Model
from elbax.models.weights import arrays_of

FORMAT = 1
_DTYPES = ("<f4", "<f8")
_OWN = {"kind": "own"}


def save(model: Model, path: str | Path) -> None:
    """Write a model into one file, for `elbax.load`; whole or not at all.

    The header holds the configuration of a model that elbax builds. Of a model of your own it
    holds the arrays, and the numbers and texts that are leaves of it; what builds it, you give
    again to `elbax.load`.

    Args:
        model: any model.
        path: the file, by custom with the ending .safetensors.

    Raises:
        OutputError: it cannot be written; an older file of that name survives.

    >>> import tempfile
    >>> from elbax.models import linear_gaussian
    >>> model, path = linear_gaussian(3, 2, key=jax.random.key(0)), Path(tempfile.mkdtemp()) / "m"
    >>> save(model, path)
    >>> bool((load(path).generative.weight == model.generative.weight).all())
    True
    """
    arrays = arrays_of(model)
    description = described(model) or {**_OWN, "values": _values(model)}
    # As it will be read: tuples become lists.
    description = json.loads(json.dumps(description))
    header = {"format": FORMAT, "model": description, "sha256": digest(arrays, description)}
    write_atomically(Path(path), to_bytes(arrays, header))


def load(path: str | Path, *, model: Model | Callable[[PRNGKey], Model] | None = None) -> Model:
    """Read a model that `elbax.save` wrote. Nothing in the file is run or unpickled.

    Args:
        path: the file.
        model: for a model of your own: one of the same structure, or the function of a random
            key that builds it. What is not an array comes from there.

    Raises:
        CheckpointError: not such a file, truncated or altered, of a newer format, or of another
            model.
        InputError: a model of your own without `model`, or float64 where JAX has it off.

    >>> import tempfile
    >>> from elbax.models import linear_gaussian
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save(linear_gaussian(3, 2, key=jax.random.key(0)), path)
    >>> load(path).generative.weight.shape
    (3, 2)
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"expected a model file; found none at '{path}'.")
    header, arrays = read_file(path, "model file", FORMAT, lambda why: _damaged(path, why), _hashed)
    description = header.get("model")
    if not isinstance(description, dict):
        raise CheckpointError(
            f"'{path}' holds no model by itself; a checkpoint of a run is read by "
            "`elbax.load_runs(folder)`."
        )
    template = _template(path, description, arrays, model)
    dynamic, static = eqx.partition(template, _is_array_like)
    _check(path, layout(dynamic), arrays, abstract=model is None)
    return eqx.combine(from_named(arrays, dynamic), static)


def _hashed(header: dict[str, Any]) -> tuple:
    """What is hashed beside the arrays: the model, of which a checkpoint's header says nothing."""
    return (header["model"],) if "model" in header else ()


def _template(path: Path, description: dict[str, Any], arrays: Arrays, model) -> Model:
    """A model of the structure that the file describes, real or abstract."""
    if model is not None:
        given = model if isinstance(model, Model) else model(jax.random.key(0))
        own = json.loads(json.dumps(described(given) or _OWN))
        if (description if description.get("kind") != "own" else _OWN) != own:
            raise CheckpointError(
                f"the file '{path}' is of another model: it holds {_shown(description)}, the one "
                f"given is {_shown(own)}."
            )
        if own == _OWN:
            _check_values(path, description.get("values"), _values(given))
        return given
    if description.get("kind") == "own":
        raise InputError(
            f"the file '{path}' holds a model of your own; give the function that builds it, or a "
            "model like it: `elbax.load(path, model=...)`."
        )
    # A model has arrays for each of its layers: so a short file cannot ask for a long computation.
    table = (description.get("config") or {}).get("table")  # it has a line for every column
    if len(json.dumps(description)) > 1000 + len(json.dumps(table)) + 20 * len(arrays):
        raise _damaged(path, "it describes more layers than it holds")
    try:
        return rebuilt(description)
    except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(path, f"it describes no model: {error}") from None


def _values(model: Model) -> dict[str, Any]:
    """Leaves that are no arrays, but numbers and texts: they decide what the model computes."""
    others = eqx.filter(model, eqx.is_array, inverse=True)
    plain = (bool, int, float, str)
    return {name: leaf for name, leaf in with_names(others) if type(leaf) in plain}


def _check_values(path: Path, written: Any, given: dict[str, Any]) -> None:
    if json.dumps(written, sort_keys=True) != json.dumps(given, sort_keys=True):
        raise CheckpointError(
            f"the file '{path}' is of another model: its values are {written}, those of the one "
            f"given {given}. Give the model that was saved."
        )


def _check(path: Path, wanted: dict, arrays: Arrays, *, abstract: bool) -> None:
    """Refuse other names and shapes than the model's, and types that JAX would round."""
    found = {name: (list(array.shape), array.dtype.str) for name, array in arrays.items()}
    if abstract:
        # A rebuilt model says nothing of the precision it was trained in.
        types = {kind for _, kind in found.values()}
        [kind] = types if len(types) == 1 and types <= set(_DTYPES) else ["<f4"]
        wanted = {name: (shape, kind) for name, (shape, _) in wanted.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                f"the file '{path}' is of another model: {name} should be "
                f"{wanted.get(name, 'absent')}, the file has {found.get(name, 'none')}."
            )
    rounded = jax.dtypes.canonicalize_dtype(np.float64) != np.float64
    if rounded and any(array.dtype == np.float64 for array in arrays.values()):
        raise InputError(
            f"the file '{path}' holds float64, which JAX would round to float32; set "
            "`jax.config.update('jax_enable_x64', True)` first."
        )


def _is_array_like(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _shown(description: dict[str, Any]) -> str:
    return "a model of your own" if description["kind"] == "own" else json.dumps(description)


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"model file '{path}' is truncated or damaged ({why}). Write it again with `elbax.save`."
    )
