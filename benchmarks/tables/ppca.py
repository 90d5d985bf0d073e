"""Probabilistic PCA of a table, of cells that hide themselves too: a model of elbax's from outside.

x = W z + b + s eps, one s for all columns (Tipping & Bishop 1999), its encoder a network.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import elbax
from elbax.models import Generative, Inference, Model
from elbax.models.cells import Row
from elbax.models.heads import NormalHead
from elbax.models.mechanisms import AnyMechanism, mechanism_of
from elbax.models.tables import Observed, num_inputs
from elbax.nn import MLP, Linear
from elbax.tables.schema import Schema


class Line(eqx.Module):
    """A linear map of the latents, and one scale."""

    weight: jax.Array
    bias: jax.Array
    raw_scale: jax.Array
    schema: Schema = eqx.field(static=True)
    mechanism: AnyMechanism | None

    def __call__(self, z) -> Row:
        loc = self.weight @ z + self.bias
        scale = jnp.full_like(loc, 1e-3) + jax.nn.softplus(self.raw_scale)
        return Row({"gaussian": jnp.stack([loc, scale], axis=1)}, self.schema, self.mechanism)


def model_of(schema: Schema, latents: int, missing: str):
    """A function of a key to a model."""

    def build(key) -> Model:
        size, keys = len(schema.columns), jax.random.split(key, 5)
        weight = 0.3 * jax.random.normal(keys[0], (size, latents))
        mechanism = mechanism_of(missing, schema, keys[4])
        line = Line(weight, jnp.zeros(size), jnp.zeros(()), schema, mechanism)
        heads = (Linear(64, latents, key=one) for one in keys[2:4])
        network = MLP([num_inputs(schema), 64], key=keys[1])
        encoder = NormalHead(Observed(network, schema), *heads, "exp", 1e-6)
        return Model(Generative(line, latents, (size,)), Inference(encoder))

    return build


def fill(x: np.ndarray, latents: int, missing: str, seed: int, *, steps: int, samples: int):
    """The table with its holes at their means given the rest, holes included."""
    table = elbax.table_of(x, types={f"x{i}": "gaussian" for i in range(x.shape[1])})
    config = elbax.TrainConfig(max(1, steps // (len(x) // 64)), 64, 5e-3)
    build = model_of(table.schema, latents, missing)
    fitted = elbax.fit(
        "iwae(k=20, gradient=dreg)", table, model=build, config=config, seeds=(seed,)
    )
    found = elbax.impute(fitted.models[0], table, num_samples=samples)
    return np.column_stack(list(found.columns().values()))
