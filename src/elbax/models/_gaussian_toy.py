r"""The toy of Rainforth et al. 2018: everything Gaussian, the optimum known.

p(z) = N(mu, I), p(x | z) = N(z, I), q(z | x) = N(A x + b, v I); mu, A and b are learned. At the
optimum mu is the mean of the data, A = I / 2 and b = mu / 2.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._checks import check_fits, check_real
from elbax._errors import InputError
from elbax._types import PRNGKey
from elbax.distributions import DiagonalNormal
from elbax.models.interface import AbstractGenerative, AbstractInference, Model

Vector = Float[Array, " d"]


class ToyGenerative(AbstractGenerative):
    """p(z) = N(mu, I), p(x | z) = N(z, I).

    Args:
        mu: `[D]`.

    >>> toy = ToyGenerative(jnp.zeros(1))
    >>> round(float(toy.log_marginal(jnp.zeros(1))), 4)  # x ~ N(0, 2): -log(4 pi) / 2
    -1.2655
    """

    mu: Vector

    def log_prob(self, x: Vector, z: Vector) -> Float[Array, ""]:
        """Log p(z) + log p(x | z)."""
        return self.log_prior(z) + _unit(z).log_prob(x)

    def log_prior(self, z: Vector) -> Float[Array, ""]:
        """Log N(z; mu, I)."""
        return _unit(self.mu).log_prob(z)

    def sample_prior(self, key: PRNGKey) -> Vector:
        """A draw from N(mu, I)."""
        return _unit(self.mu).sample(key)

    def sample_data(self, z: Vector, key: PRNGKey) -> Vector:
        """A draw from N(z, I)."""
        return _unit(z).sample(key)

    def mean(self, z: Vector) -> Vector:
        """Z itself."""
        return z

    def follow_prior(self, z: Vector) -> Vector:
        """`mu` plus the noise that gives z."""
        return _unit(self.mu).follow(jax.lax.stop_gradient(z))

    def log_marginal(self, x: Vector) -> Float[Array, ""]:
        """Log p(x) in nats: N(mu, 2 I)."""
        return DiagonalNormal(self.mu, jnp.full_like(self.mu, 2**0.5)).log_prob(x)

    def posterior(self, x: Vector) -> DiagonalNormal:
        """p(z | x): N((x + mu) / 2, I / 2)."""
        return DiagonalNormal((x + self.mu) / 2, jnp.full_like(self.mu, 0.5**0.5))


class ToyInference(AbstractInference):
    """q(z | x) = N(A x + b, covariance I), the covariance fixed.

    Args:
        A: `[D, D]`.
        b: `[D]`.
        covariance: of every coordinate, a variance; not trained.

    >>> toy = ToyInference(jnp.eye(2) / 2, jnp.zeros(2), 2 / 3)
    >>> toy.mean(toy.encode(jnp.ones(2))).tolist()
    [0.5, 0.5]
    """

    A: Float[Array, "d d"]
    b: Vector
    covariance: float = eqx.field(static=True)

    def encode(self, x: Vector) -> DiagonalNormal:
        """The distribution itself."""
        return DiagonalNormal(self.A @ x + self.b, jnp.full_like(self.b, self.covariance**0.5))

    def sample(self, context: DiagonalNormal, key: PRNGKey) -> Vector:
        """A reparameterized draw."""
        return context.sample(key)

    def log_prob(self, context: DiagonalNormal, z: Vector) -> Float[Array, ""]:
        """Log q(z | x)."""
        return context.log_prob(z)

    def mean(self, context: DiagonalNormal) -> Vector:
        """`A x + b`."""
        return context.mean()


def gaussian_toy(
    num_dimensions: int = 20,
    num_data: int = 1024,
    *,
    key: PRNGKey,
    offset: float = 0.01,
    covariance: float = 2 / 3,
) -> tuple[Model, Float[Array, "n d"]]:
    """The toy's data, and its model displaced from the optimum.

    Args:
        num_dimensions: D, of x and z.
        num_data: N; drawn with a mean mu_true ~ N(0, I) of its own.
        key: a random key, consumed here.
        offset: standard deviation of a normal displacement of every parameter from the optimum;
            0.01 is near it.
        covariance: of q(z | x), 2/3 in the paper; a variance, not a standard deviation.

    Returns:
        The model and the data `[N, D]`.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4.

    >>> model, x = gaussian_toy(3, 8, key=jax.random.key(0), offset=0.0)
    >>> bool(jnp.allclose(model.inference.b, x.mean(0) / 2))
    True
    """
    if num_dimensions < 1 or num_data < 1 or not covariance > 0 or not offset >= 0:
        raise InputError(
            "expected at least one dimension and one datum, a covariance > 0 and an offset >= 0; "
            f"got {num_dimensions}, {num_data}, {covariance} and {offset}."
        )
    check_real("offset", offset)
    check_real("covariance", covariance)
    check_fits(
        f"{num_data} data of {num_dimensions} dimensions and a matrix",
        4 * num_dimensions * (num_data + num_dimensions),
    )
    keys = jax.random.split(key, 6)
    center = jax.random.normal(keys[0], (num_dimensions,))
    z = center + jax.random.normal(keys[1], (num_data, num_dimensions))
    x = z + jax.random.normal(keys[2], z.shape)
    mu = jnp.mean(x, axis=0)
    best = (mu, jnp.eye(num_dimensions) / 2, mu / 2)
    mu, matrix, bias = (
        value + offset * jax.random.normal(k, value.shape)
        for value, k in zip(best, keys[3:], strict=True)
    )
    return Model(ToyGenerative(mu), ToyInference(matrix, bias, covariance)), x


def _unit(loc: Vector) -> DiagonalNormal:
    return DiagonalNormal(loc, jnp.ones_like(loc))
