"""From a decoder's numbers to the distribution of a row, and where training starts them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax.models.cells import Row
from elbax.models.config import CELL_SCALE
from elbax.models.mechanisms import AnyMechanism
from elbax.tables.schema import KINDS, Schema

LEAST_FREEDOM = 3.0  # degrees of Student's t: the variance is finite
_MOST_LOG_RATE = 40.0
_NO_CATEGORY = -1e30  # the log-probability of what pads the categories


def num_outputs(schema: Schema) -> int:
    """How many numbers a decoder gives for a row.

    >>> from elbax.tables.schema import Column
    >>> num_outputs(Schema((Column("a", "student"), Column("b", "poisson"))))
    4
    """
    return sum(sum(_widths(schema, kind)) for kind in _kinds(schema))


def _kinds(schema: Schema) -> list[str]:
    return [kind for kind in KINDS if schema.places(kind)]


def _widths(schema: Schema, kind: str) -> list[int]:
    """Outputs per column of a kind."""
    of = {"student": 3, "binary": 1, "poisson": 1}
    columns = [schema.columns[i] for i in schema.places(kind)]
    if kind == "categorical":
        return [len(column.categories) for column in columns]
    return [of.get(kind, 2)] * len(columns)


def row_of(
    outputs: Float[Array, " o"],
    schema: Schema,
    mechanism: AnyMechanism | None = None,
    cell_scale: float = CELL_SCALE,
) -> Row:
    """A decoder's numbers made into the distribution of a row."""
    parameters, start = {}, 0
    for kind in _kinds(schema):
        widths = _widths(schema, kind)
        part = outputs[start : start + sum(widths)]
        start += sum(widths)
        parameters[kind] = _parameters(kind, part, widths, schema, cell_scale)
    return Row(parameters, schema, mechanism)


def _parameters(
    kind: str, part: Array, widths: list[int], schema: Schema, cell_scale: float
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
    scale = cell_scale + jax.nn.softplus(p[:, 1])
    rest = [LEAST_FREEDOM + jax.nn.softplus(p[:, 2])] if kind == "student" else []
    return jnp.stack([p[:, 0], scale, *rest], axis=1)


def _log_probabilities(logits: Array, widths: list[int]) -> Array:
    """Rows of log-probabilities, padded to the most categories that a column has."""
    ends = np.cumsum(widths)
    index = np.arange(max(widths)) + (ends - widths)[:, None]
    there = np.arange(max(widths)) < np.array(widths)[:, None]
    padded = jnp.where(there, logits[np.minimum(index, len(logits) - 1)], _NO_CATEGORY)
    return jnp.where(there, jax.nn.log_softmax(padded, axis=1), _NO_CATEGORY)


def first_outputs(schema: Schema, means: Float[np.ndarray, " c"] | None) -> np.ndarray:
    """Outputs `[o]` at which a decoder starts: the columns' own means, and a scale of 1."""
    found = []
    for kind in _kinds(schema):
        for place, width in zip(schema.places(kind), _widths(schema, kind), strict=True):
            one = np.zeros(width)
            if kind in ("gaussian", "student", "log-normal"):
                one[1] = math.log(math.expm1(1))  # softplus gives 1 there
            if kind == "student":
                one[2] = 2.0
            if kind == "binary" and means is not None:
                share = np.clip(means[place], 0.001, 0.999)
                one[0] = np.log(share) - np.log1p(-share)
            found.append(one)
    return np.concatenate(found)
