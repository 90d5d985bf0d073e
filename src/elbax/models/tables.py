"""What models of tables with holes are built with: a head over rows, and what an encoder sees.

The bound is the missing-data IWAE: `log w = sum over observed j of log p(x_j | z) + log p(z) -
log q(z | x_observed)`. Only log p(x, z) and the encoder's input differ from those of whole data;
bounds, rules and routing are the same.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax.models.cells import Row
from elbax.models.features import inputs_of, num_values
from elbax.models.mechanisms import AnyMechanism
from elbax.models.outputs import row_of
from elbax.nn.linear import Linear
from elbax.tables.schema import Schema


class TableHead(eqx.Module):
    """A network's features, then one linear map to the parameters of every column.

    Of a vector `[in]` it makes a `Row` over the columns `[C]`. Real cells have a scale of 1e-3
    standard deviations of their column or more, and degrees of freedom of 3 or more.

    Args:
        network: a function of one vector to features.
        outputs: the map of features to as many numbers as `elbax.models.outputs.num_outputs` says.
        schema: what the columns are.
        mechanism: why cells are missing, where that depends on their values.
        shapes: where scales are no functions of the latents, what they are made of, as
            `elbax.models.outputs.first_shapes` gives it.

    References: Mattei & Frellsen 2019 (arXiv 1812.02633), section 3, for the bound that it serves.

    >>> import jax
    >>> from elbax.nn import MLP, Linear
    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "gaussian"), Column("b", "poisson")))
    >>> network, outputs = MLP([2, 8], key=jax.random.key(0)), Linear(8, 3, key=jax.random.key(1))
    >>> TableHead(network, outputs, schema)(jnp.ones(2)).mean().shape
    (2,)
    """

    network: Callable[[Array], Array]
    outputs: Linear
    schema: Schema = eqx.field(static=True)
    mechanism: AnyMechanism | None = None
    shapes: tuple[Float[Array, "_ _"], ...] | None = None

    def __call__(self, z: Float[Array, " z"]) -> Row:
        """Independent cells given the latents."""
        return row_of(self.outputs(self.network(z)), self.schema, self.mechanism, self.shapes)


class Observed(eqx.Module):
    """A network that reads a row with holes: its values with zeros there, and which are there.

    Reals and logarithms arrive standardized, counts become standardized `log(1 + x)`, categories
    one-hot; a column has one number in the mask, however many it takes.

    Args:
        network: a function of a vector `[elbax.models.tables.num_inputs(schema)]` to features.
        schema: what the columns are.

    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "gaussian"), Column("b", "categorical", "text", ("x", "y"))))
    >>> Observed(lambda v: v, schema)(jnp.array([jnp.nan, 1.0])).tolist()
    [0.0, 0.0, 1.0, 0.0, 1.0]
    """

    network: Callable[[Array], Array]
    schema: Schema = eqx.field(static=True)

    def __call__(self, x: Float[Array, " c"]) -> Float[Array, " h"]:
        """Features of the row."""
        observed = ~jnp.isnan(x)
        mask = observed.astype(x.dtype)
        filled = jnp.where(observed, x, 0)
        places = tuple(range(len(self.schema.columns)))
        return self.network(jnp.concatenate([*inputs_of(filled, mask, self.schema, places), mask]))


def num_inputs(schema: Schema) -> int:
    """How many numbers an encoder sees of a row: its values, and a mask of one per column.

    >>> from elbax.tables.schema import Column
    >>> num_inputs(Schema((Column("a", "poisson"), Column("b", "binary", "int", ("0", "1")))))
    4
    """
    count = len(schema.columns)
    return num_values(schema, tuple(range(count))) + count
