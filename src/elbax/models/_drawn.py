"""Models that draw the missing cells which a mechanism reads, as latents beside those of q."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._types import PRNGKey, PyTree
from elbax.distributions import DiagonalNormal
from elbax.models.cells import Row
from elbax.models.interface import AbstractGenerative, AbstractInference, Model
from elbax.models.missing import NORMAL
from elbax.models.tables import TableHead


class Drawn(NamedTuple):
    """Latents of a row, and the noise that places its missing normal cells, whatever z is.

    Args:
        latents: as the network within has them.
        noise: `[n]`, a number for each gaussian or log-normal column; standard normal under p and
            under q alike, and of no consequence where a cell was observed.

    >>> latents_alone(Drawn((1, 2), None)), latents_alone((1, 2))
    ((1, 2), (1, 2))
    """

    latents: PyTree
    noise: Float[Array, " n"]


def latents_alone(z: PyTree) -> PyTree:
    """Latents without the noise of missing cells."""
    return z.latents if isinstance(z, Drawn) else z


class DrawnGenerative(AbstractGenerative):
    """p(z) N(eps; 0, I) p(x_o | z) p(s | x_o, u(z, eps)) of a generative network of rows.

    Args:
        base: p(x_o, z), whose rows have a mechanism.
        num_noise: how many gaussian and log-normal columns there are.

    >>> import elbax
    >>> base = elbax.linear_gaussian(3, 2, key=jax.random.key(0)).generative
    >>> DrawnGenerative(base, 1).sample_prior(jax.random.key(1)).noise.shape
    (1,)
    """

    base: AbstractGenerative
    num_noise: int = eqx.field(static=True)

    def log_prob(self, x: Float[Array, "..."], z: Drawn) -> Float[Array, ""]:
        """Log p(x_o, s, z, eps)."""
        return self.log_prior(z) + self.likelihood(z).log_prob(x.reshape(-1))

    def likelihood(self, z: PyTree) -> Row:
        """The row given z, its missing cells where eps puts them."""
        row = self.base.likelihood(latents_alone(z))
        assert isinstance(row, Row)
        noise = z.noise if isinstance(z, Drawn) else None
        return Row(row.parameters, row.schema, row.mechanism, noise)

    def log_prior(self, z: Drawn) -> Float[Array, ""]:
        """Log p(z) + log N(eps; 0, I)."""
        return self.base.log_prior(z.latents) + _noise(self.num_noise).log_prob(z.noise)

    def sample_prior(self, key: PRNGKey) -> Drawn:
        """A draw of both."""
        keys = jax.random.split(key)
        return Drawn(self.base.sample_prior(keys[0]), _noise(self.num_noise).sample(keys[1]))

    def sample_data(self, z: PyTree, key: PRNGKey) -> Float[Array, "..."]:
        """A whole row drawn from p(x | z)."""
        return self.base.sample_data(latents_alone(z), key)

    def mean(self, z: PyTree) -> Float[Array, "..."]:
        """E[x | z]."""
        return self.base.mean(latents_alone(z))

    def follow_prior(self, z: Drawn) -> Drawn:
        """Z by the noise that gives it; eps knows of no parameters."""
        return Drawn(self.base.follow_prior(z.latents), jax.lax.stop_gradient(z.noise))


class DrawnInference(AbstractInference):
    """q(z | x_o) N(eps; 0, I).

    Args:
        base: q(z | x_o).
        num_noise: as for `DrawnGenerative`.

    >>> from elbax.models import Inference
    >>> inference = Inference(lambda x: DiagonalNormal(x, jnp.ones(3)))
    >>> drawn = DrawnInference(inference, 2)
    >>> drawn.sample(drawn.encode(jnp.zeros(3)), jax.random.key(0)).noise.shape
    (2,)
    """

    base: AbstractInference
    num_noise: int = eqx.field(static=True)

    @property
    def is_reparameterized(self) -> bool:
        """Whether z is; eps always is."""
        return self.base.is_reparameterized

    def encode(self, x: Float[Array, "..."]) -> PyTree:
        """As the network within."""
        return self.base.encode(x)

    def sample(self, context: PyTree, key: PRNGKey) -> Drawn:
        """A draw of both."""
        keys = jax.random.split(key)
        return Drawn(self.base.sample(context, keys[0]), _noise(self.num_noise).sample(keys[1]))

    def log_prob(self, context: PyTree, z: Drawn) -> Float[Array, ""]:
        """Log q(z | x_o) + log N(eps; 0, I)."""
        return self.base.log_prob(context, z.latents) + _noise(self.num_noise).log_prob(z.noise)

    def mean(self, context: PyTree) -> PyTree:
        """E_q[z | x_o], without eps: what a row's latents are to those who look at them."""
        return self.base.mean(context)


def with_draws(model: Model, head: TableHead | object) -> Model:
    """The model, its missing cells drawn where its head's mechanism asks for it.

    >>> import elbax
    >>> model = elbax.linear_gaussian(3, 2, key=jax.random.key(0))
    >>> with_draws(model, None) is model
    True
    """
    if not isinstance(head, TableHead) or head.mechanism is None:
        return model
    if not head.mechanism.samples(head.schema):
        return model
    count = len(head.schema.places(*NORMAL))
    return Model(DrawnGenerative(model.generative, count), DrawnInference(model.inference, count))


def _noise(size: int) -> DiagonalNormal:
    return DiagonalNormal(jnp.zeros(size), jnp.ones(size))
