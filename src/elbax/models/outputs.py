"""From a decoder's numbers to the distribution of a row, and where training starts them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax.models.cells import Row
from elbax.models.mechanisms import AnyMechanism
from elbax.tables.schema import KINDS, Schema

CELL_SCALE = 1e-3  # the least scale of a real cell, in standard deviations of its column
LEAST_FREEDOM = 3.0  # degrees of Student's t: the variance is finite
_MOST_LOG_RATE = 40.0
_SOFTPLUS_1 = math.log(math.expm1(1))
# Where the scale of real cells starts, and Student's degrees of freedom, before softplus.
_FIRST_SHAPE = {
    "gaussian": (_SOFTPLUS_1,),
    "student": (_SOFTPLUS_1, 2.0),
    "log-normal": (_SOFTPLUS_1,),
}
_NO_CATEGORY = -1e30  # the log-probability of what pads the categories


def num_outputs(schema: Schema, homoscedastic: bool = False) -> int:
    """How many numbers a decoder gives for a row.

    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "student"), Column("b", "poisson")))
    >>> num_outputs(schema), num_outputs(schema, homoscedastic=True)
    (4, 2)
    """
    return sum(sum(_widths(schema, kind, homoscedastic)) for kind in _kinds(schema))


def _kinds(schema: Schema) -> list[str]:
    return [kind for kind in KINDS if schema.places(kind)]


def _real_kinds(schema: Schema) -> list[str]:
    return [kind for kind in _kinds(schema) if kind in _FIRST_SHAPE]


def _widths(schema: Schema, kind: str, homoscedastic: bool) -> list[int]:
    """Outputs per column of a kind."""
    of = {"student": 3, "binary": 1, "poisson": 1}
    if homoscedastic:
        of |= dict.fromkeys(_FIRST_SHAPE, 1)
    columns = [schema.columns[i] for i in schema.places(kind)]
    if kind == "categorical":
        return [len(column.categories) for column in columns]
    return [of.get(kind, 2)] * len(columns)


def row_of(
    outputs: Float[Array, " o"],
    schema: Schema,
    mechanism: AnyMechanism | None = None,
    shapes: tuple[Array, ...] | None = None,
) -> Row:
    """A decoder's numbers, and what is the same for all rows, made into a row's distribution."""
    parameters, start = {}, 0
    shape_of = {} if shapes is None else dict(zip(_real_kinds(schema), shapes, strict=True))
    for kind in _kinds(schema):
        widths = _widths(schema, kind, shapes is not None)
        part = outputs[start : start + sum(widths)]
        start += sum(widths)
        parameters[kind] = _parameters(kind, part, widths, schema, shape_of.get(kind))
    return Row(parameters, schema, mechanism)


def _parameters(
    kind: str, part: Array, widths: list[int], schema: Schema, shape: Array | None
) -> Array:
    if kind == "categorical":
        return _log_probabilities(part, widths)
    p = part.reshape(len(widths), -1)
    if kind == "binary":
        return p
    if kind in ("poisson", "negative-binomial"):
        columns = [schema.columns[i] for i in schema.places(kind)]
        center = jnp.asarray([column.center for column in columns], p.dtype)
        scale = jnp.asarray([column.scale for column in columns], p.dtype)
        log_mean = jnp.clip(center + scale * p[:, 0], -_MOST_LOG_RATE, _MOST_LOG_RATE)
        rest = [jnp.clip(p[:, 1], -10, 20)] if kind == "negative-binomial" else []
        return jnp.stack([log_mean, *rest], axis=1)
    shape = p[:, 1:] if shape is None else shape
    scale = CELL_SCALE + jax.nn.softplus(shape[:, 0])
    rest = [LEAST_FREEDOM + jax.nn.softplus(shape[:, 1])] if kind == "student" else []
    return jnp.stack([p[:, 0], scale, *rest], axis=1)


def _log_probabilities(logits: Array, widths: list[int]) -> Array:
    """Rows of log-probabilities, padded to the most categories that a column has."""
    ends = np.cumsum(widths)
    index = np.arange(max(widths)) + (ends - widths)[:, None]
    there = np.arange(max(widths)) < np.array(widths)[:, None]
    padded = jnp.where(there, logits[np.minimum(index, len(logits) - 1)], _NO_CATEGORY)
    return jnp.where(there, jax.nn.log_softmax(padded, axis=1), _NO_CATEGORY)


def first_outputs(
    schema: Schema, means: Float[np.ndarray, " c"] | None, homoscedastic: bool = False
) -> np.ndarray:
    """Outputs `[o]` at which a decoder starts: the columns' own means, and a scale of 1."""
    found = []
    for kind in _kinds(schema):
        widths = _widths(schema, kind, homoscedastic)
        for place, width in zip(schema.places(kind), widths, strict=True):
            one = np.zeros(width)
            if kind in _FIRST_SHAPE and not homoscedastic:
                one[1:] = _FIRST_SHAPE[kind]
            if kind == "binary" and means is not None:
                share = np.clip(means[place], 0.001, 0.999)
                one[0] = np.log(share) - np.log1p(-share)
            found.append(one)
    return np.concatenate(found)


def first_shapes(schema: Schema) -> tuple[Array, ...]:
    """Where scales start that no latent decides: for each real kind that is there `[n, p]`."""
    return tuple(
        jnp.tile(jnp.asarray(_FIRST_SHAPE[kind], jnp.zeros(0).dtype), (len(schema.places(kind)), 1))
        for kind in _real_kinds(schema)
    )
