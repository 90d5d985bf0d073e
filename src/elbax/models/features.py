"""Cells as networks read them: reals standardized, counts by logarithm, categories one-hot."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax.tables.schema import Schema


def inputs_of(
    filled: Float[Array, " c"], weight: Float[Array, " c"], schema: Schema, places: Sequence[int]
) -> list[Array]:
    """The cells of some columns, each times its weight, in parts: single numbers, then categories.

    Args:
        filled: cells as a model sees them, without NaN.
        weight: 1 where a cell is to be read, 0 where not.
        schema: what the columns are.
        places: of the columns to read.
    """
    counts = np.array([column.is_count for column in schema.columns])
    # Where nothing counts, a logarithm of what may be below -1 is not taken.
    logarithm = jnp.log1p(jnp.where(counts, filled, 0))
    center = jnp.asarray([column.center for column in schema.columns], filled.dtype)
    scale = jnp.asarray([column.scale for column in schema.columns], filled.dtype)
    values = jnp.where(counts, (logarithm - center) / scale, filled) * weight
    parts = [values[np.array(singles(schema, places), int)]]
    for place in schema.places("categorical"):
        if place in places:
            size = len(schema.columns[place].categories)
            parts.append((filled[place] == jnp.arange(size)) * weight[place])
    return parts


def singles(schema: Schema, places: Sequence[int]) -> list[int]:
    """Which of some columns are read as one number, in the order in which they are.

    >>> from elbax.tables.schema import Column
    >>> kinds = (Column("a", "poisson"), Column("b", "categorical", "text", ("x", "y")))
    >>> singles(Schema(kinds), (0, 1))
    [0]
    """
    return [place for place in places if schema.columns[place].kind != "categorical"]


def num_values(schema: Schema, places: Sequence[int]) -> int:
    """How many numbers `inputs_of` gives.

    >>> from elbax.tables.schema import Column
    >>> kinds = (Column("a", "poisson"), Column("b", "categorical", "text", ("x", "y")))
    >>> num_values(Schema(kinds), (0, 1))
    3
    """
    chosen = [schema.columns[place] for place in places]
    return sum(len(one.categories) if one.kind == "categorical" else 1 for one in chosen)
