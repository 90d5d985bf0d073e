"""The door of every public function that takes a model, data and a random key.

What cannot be right is refused here with a sentence: the wrong shape, values that the likelihood
does not have, an integer for a key. Cheap enough for loops: shapes and kinds are remembered per
structure of the model, and the values are looked at only where they are known (not while tracing).
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from elbax._errors import InputError
from elbax._types import PRNGKey
from elbax.data.checks import LEVEL_ERROR
from elbax.distributions import Bernoulli, ContinuousBernoulli, DiscretisedLogistic
from elbax.models.cells import Row
from elbax.tables.schema import Schema
from elbax.tables.table import Table

_IN_UNIT = {
    Bernoulli: "Bernoulli",
    ContinuousBernoulli: "continuous Bernoulli",
    DiscretisedLogistic: "discretised logistic",
}


class _Observed(NamedTuple):
    """What a model says of one datum."""

    shape: tuple[int, ...]
    unit: str  # the likelihood that asks for values in [0, 1], if one does
    levels: int | None  # of values that are levels of intensity: which means 1
    schema: Schema | None
    mechanism: str | None


def checked(model: Any, x: Any, key: Any) -> tuple[jax.Array, PRNGKey]:
    """`checked_data` and `checked_key`."""
    return checked_data(model, x), checked_key(key)


def checked_data(model: Any, x: Any, name: str = "x") -> jax.Array:
    """The data as floats on the device, if this model can have seen them.

    Args:
        model: with `.generative` and `.inference`.
        x: `[B, *event]`, a NumPy or a JAX array of any real dtype; rows that hold NaN pass, their
            bounds are not finite; of a table NaN is a cell that is missing.
        name: of the argument, for the message.

    Raises:
        InputError: no model, no array of real numbers, another shape than the model's data, no
            data, or values that the likelihood does not have: outside [0, 1] under a Bernoulli
            one, between two levels under a discretised logistic one.
    """
    if not hasattr(model, "generative") or not hasattr(model, "inference"):
        raise InputError(
            f"expected a model with .generative and .inference; got {type(model).__name__}. "
            "Build one with elbax.one_layer or elbax.Model(generative, inference)."
        )
    _check_kind(x, name)
    observed = _observed_by(model.generative)
    _check_shape(x, observed.shape, name)
    if observed.unit and not isinstance(x, Tracer):
        _check_unit(np.asarray(x), name, observed.unit)
    if observed.levels is not None and not isinstance(x, Tracer):
        _check_levels(np.asarray(x), name, observed.levels)
    x = jnp.asarray(x)
    return x if x.dtype in (np.float32, np.float64) else x.astype(jnp.zeros(()).dtype)


def sees_holes(model: Any) -> bool:
    """Whether the data of a model are rows of a table, cells of which may be missing."""
    return schema_of(model) is not None


def schema_of(model: Any) -> Schema | None:
    """What the columns of a model's table are; None where its data are no table.

    >>> import elbax
    >>> elbax.schema_of(elbax.linear_gaussian(3, 2, key=jax.random.key(0)))
    """
    return _observed_by(model.generative).schema


def levels_of(model: Any) -> int | None:
    """Where data are levels 0, 1/L, .., 1 under a discretised logistic: L; else None.

    >>> import elbax
    >>> levels_of(elbax.linear_gaussian(3, 2, key=jax.random.key(0)))
    """
    return _observed_by(model.generative).levels


def refuse_mechanism(model: Any, what: str) -> None:
    """Refuse what needs exact draws of the posterior, of a model that says why cells are missing.

    Its draws are whole rows, and which cells would be missing of them is not drawn.

    Raises:
        InputError: naming `what` needs them.
    """
    if kind := _observed_by(model.generative).mechanism:
        raise InputError(
            f"{what} needs draws (x, z) of the model whose z is one of the posterior of x; under "
            f"the mechanism '{kind}' whole rows are none. Take a model of cells missing at random."
        )


def checked_table(model: Any, table: Table) -> np.ndarray:
    """The values of a table `[N, C]`, if they are under the schema of this model.

    Raises:
        InputError: no table, no model of tables, or another schema.
    """
    if not isinstance(table, Table):
        raise InputError(
            "expected a table, such as `elbax.table_of(data, schema=elbax.schema_of(model))`; got "
            f"{type(table).__name__}."
        )
    values, schema = checked_data(model, table.values, "the table's values"), schema_of(model)
    if schema is None:
        raise InputError(
            "expected a model of tables; this one has another likelihood. Train one on an "
            "`elbax.Table`."
        )
    if schema != table.schema:
        raise InputError(
            "expected the table under the schema of the model, whose units and categories are "
            "its own; make it with `elbax.table_of(data, schema=elbax.schema_of(model))`."
        )
    return np.asarray(values)


def checked_key(key: Any) -> PRNGKey:
    """A typed random key; the two integers of `jax.random.PRNGKey` are one as well."""
    if isinstance(key, jax.Array | np.ndarray):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
            return jnp.asarray(key)
        if key.dtype == np.uint32 and key.shape == (2,):
            return jax.random.wrap_key_data(jnp.asarray(key))
    got = f"an array of shape {list(key.shape)}" if hasattr(key, "shape") else repr(key)
    raise InputError(f"expected one random key, such as jax.random.key(0); got {got}.")


def _check_kind(x: Any, name: str) -> None:
    if isinstance(x, np.ma.MaskedArray):
        raise InputError(
            f"expected {name} without a mask; got a masked array, whose hidden values would be "
            "taken for data. Fill it or drop those rows."
        )
    if not isinstance(x, jax.Array | np.ndarray):
        cure = "x.to_numpy()" if hasattr(x, "to_numpy") else "numpy.asarray(x)"
        raise InputError(
            f"expected {name} as a NumPy or JAX array [B, *event]; got {type(x).__name__}. Give "
            f"{cure.replace('x', name, 1)}."
        )
    if not (jnp.issubdtype(x.dtype, jnp.floating) or x.dtype.kind in "bui"):
        raise InputError(f"expected {name} as real numbers; got {x.dtype}.")


def _check_shape(x: Any, event: tuple[int, ...], name: str) -> None:
    if x.shape[1:] == event and len(x.shape) > len(event) and x.shape[0] > 0:
        return
    sizes = ", ".join(["B", *map(str, event)])
    if x.shape == event:
        cure = f"This is one datum without a batch axis: give {name}[None]."
    elif x.ndim and x.shape[0] == 0:
        cure = "Give at least one datum."
    else:
        cure = "Give the data in the shape the model was built for."
    raise InputError(f"expected {name} of shape [{sizes}]; got {list(x.shape)}. {cure}")


def _check_unit(x: np.ndarray, name: str, likelihood: str) -> None:
    if not ((x < 0).any() or (x > 1).any()):
        return
    raise InputError(
        f"expected {name} in [0, 1] for a {likelihood} likelihood; got values from "
        f"{np.nanmin(x):g} to {np.nanmax(x):g}. Divide by the largest level, or take a likelihood "
        "for real data."
    )


def _check_levels(x: np.ndarray, name: str, levels: int) -> None:
    level = x.astype(np.float32) * levels
    off = np.abs(level - np.round(level)) > LEVEL_ERROR
    if not off.any():
        return
    raise InputError(
        f"expected {name} in levels 0, 1/{levels}, .., 1 for a discretised logistic likelihood; "
        f"got {x[off][0]:g}, which lies between two. Give the stored numbers divided by {levels}, "
        "or take a continuous Bernoulli or a Gaussian likelihood."
    )


def _observed_by(generative: Any) -> _Observed:
    leaves, structure = jax.tree.flatten(generative)
    kinds = tuple((leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else leaf for leaf in leaves)
    return _remembered(structure, kinds)


@functools.lru_cache(maxsize=64)
def _remembered(structure: Any, kinds: tuple) -> _Observed:
    leaves = [jax.ShapeDtypeStruct(*kind) if isinstance(kind, tuple) else kind for kind in kinds]
    generative = jax.tree.unflatten(structure, leaves)
    of = eqx.filter_eval_shape
    z = of(lambda g, key: g.sample_prior(key), generative, jax.random.key(0))
    shape = of(lambda g, z: g.mean(z), generative, z).shape
    likelihood = of(lambda g, z: g.likelihood(z), generative, z)
    schema = likelihood.schema if isinstance(likelihood, Row) else None
    unit = next((name for kind, name in _IN_UNIT.items() if isinstance(likelihood, kind)), "")
    levels = likelihood.levels if isinstance(likelihood, DiscretisedLogistic) else None
    found = likelihood.mechanism if isinstance(likelihood, Row) else None
    mechanism = None if found is None else found.kind
    return _Observed(shape, unit, levels, schema, mechanism)
