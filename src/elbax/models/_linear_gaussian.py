r"""The linear-Gaussian model: log p(x), the posterior and the best encoder in closed form.

p(z) = N(mu, I), p(x | z) = N(W z + b, s^2 I), q(z | x) = N(A x + c, diag(scale^2)). It is the
oracle that every estimator is held against; with W = I, b = 0, s = 1 it is the toy of Rainforth
et al. 2018.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._types import PRNGKey
from elbax.distributions import DiagonalNormal
from elbax.models.interface import AbstractGenerative, AbstractInference, Model


class LinearGaussian(AbstractGenerative):
    """p(z) = N(prior_mean, I), p(x | z) = N(weight z + bias, exp(log_scale)^2 I).

    Args:
        prior_mean: mu, `[Z]`.
        weight: W, `[D, Z]`.
        bias: b, `[D]`.
        log_scale: log s, a scalar.

    >>> one = LinearGaussian(jnp.zeros(1), jnp.ones((1, 1)), jnp.zeros(1), jnp.zeros(()))
    >>> round(float(one.log_marginal(jnp.zeros(1))), 4)  # x ~ N(0, 2): -log(4 pi) / 2
    -1.2655
    """

    prior_mean: Float[Array, " z"]
    weight: Float[Array, " d z"]
    bias: Float[Array, " d"]
    log_scale: Float[Array, ""]

    def log_prob(self, x: Float[Array, " d"], z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log p(z) + log p(x | z)."""
        scale = jnp.full_like(self.bias, 1) * jnp.exp(self.log_scale)
        return self.log_prior(z) + DiagonalNormal(self.mean(z), scale).log_prob(x)

    def sample_prior(self, key: PRNGKey) -> Float[Array, " z"]:
        """A draw from N(prior_mean, I)."""
        return self.prior_mean + jax.random.normal(key, self.prior_mean.shape)

    def mean(self, z: Float[Array, " z"]) -> Float[Array, " d"]:
        """`weight z + bias`."""
        return self.weight @ z + self.bias

    def log_prior(self, z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log N(z; prior_mean, I)."""
        return DiagonalNormal(self.prior_mean, jnp.ones_like(self.prior_mean)).log_prob(z)

    def sample_data(self, z: Float[Array, " z"], key: PRNGKey) -> Float[Array, " d"]:
        """A draw from p(x | z)."""
        noise = jax.random.normal(key, self.bias.shape, self.bias.dtype)
        return self.mean(z) + jnp.exp(self.log_scale) * noise

    def follow_prior(self, z: Float[Array, " z"]) -> Float[Array, " z"]:
        """`prior_mean` plus the noise that gives z."""
        return self.prior_mean + jax.lax.stop_gradient(z - self.prior_mean)

    def log_marginal(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Log p(x) in nats: N(W mu + b, W W^T + s^2 I)."""
        covariance = self.weight @ self.weight.T + jnp.exp(2 * self.log_scale) * jnp.eye(x.shape[0])
        mean = self.mean(self.prior_mean)
        return jnp.asarray(jax.scipy.stats.multivariate_normal.logpdf(x, mean, covariance))

    def posterior(self, x: Float[Array, " d"]) -> tuple[Float[Array, " z"], Float[Array, " z z"]]:
        """Mean and covariance of p(z | x)."""
        gain, covariance = self._gain()
        return self.prior_mean + gain @ (x - self.mean(self.prior_mean)), covariance

    def best_inference(self) -> "LinearInference":
        """The diagonal q(z | x) that maximizes the ELBO.

        Its mean is the posterior's; its variances are one over the diagonal of the posterior
        precision, which is the posterior itself where that is diagonal.
        """
        gain, covariance = self._gain()
        offset = self.prior_mean - gain @ self.mean(self.prior_mean)
        return LinearInference(gain, offset, -0.5 * jnp.log(jnp.diag(jnp.linalg.inv(covariance))))

    def _gain(self):
        noise = jnp.exp(2 * self.log_scale)
        precision = jnp.eye(self.prior_mean.shape[0]) + self.weight.T @ self.weight / noise
        covariance = jnp.linalg.inv(precision)
        return covariance @ self.weight.T / noise, covariance


class LinearInference(AbstractInference):
    """q(z | x) = N(weight x + bias, diag(exp(log_scale))^2), the same scale for every x.

    Args:
        weight: A, `[Z, D]`.
        bias: c, `[Z]`.
        log_scale: `[Z]`.

    >>> inference = LinearInference(jnp.ones((1, 2)), jnp.zeros(1), jnp.zeros(1))
    >>> inference.mean(inference.encode(jnp.array([1.0, 2.0]))).tolist()
    [3.0]
    """

    weight: Float[Array, " z d"]
    bias: Float[Array, " z"]
    log_scale: Float[Array, " z"]

    def encode(self, x: Float[Array, " d"]) -> DiagonalNormal:
        """The distribution itself."""
        return DiagonalNormal(self.weight @ x + self.bias, jnp.exp(self.log_scale))

    def sample(self, context: DiagonalNormal, key: PRNGKey) -> Float[Array, " z"]:
        """A reparameterized draw."""
        return context.sample(key)

    def log_prob(self, context: DiagonalNormal, z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log q(z | x)."""
        return context.log_prob(z)

    def mean(self, context: DiagonalNormal) -> Float[Array, " z"]:
        """`weight x + bias`."""
        return context.mean()


def linear_gaussian(
    num_observed: int, num_latents: int, *, key: PRNGKey, offset: float = 0.1
) -> Model:
    """A random linear-Gaussian model, its encoder near the best one.

    Args:
        num_observed: size of a datum, D.
        num_latents: how many latents, Z.
        key: a random key, consumed here.
        offset: standard deviation of a normal displacement of each encoder parameter from the
            best encoder; 0 gives the best encoder itself.

    >>> model = linear_gaussian(3, 2, key=jax.random.key(0), offset=0.0)
    >>> x = jnp.ones(3)
    >>> mean, _ = model.generative.posterior(x)
    >>> bool(jnp.allclose(mean, model.inference.mean(model.inference.encode(x)), atol=1e-5))
    True
    """
    keys = jax.random.split(key, 4)
    generative = LinearGaussian(
        prior_mean=jax.random.normal(keys[0], (num_latents,)),
        weight=jax.random.normal(keys[1], (num_observed, num_latents)) / num_latents**0.5,
        bias=jax.random.normal(keys[2], (num_observed,)),
        log_scale=jnp.zeros(()),
    )
    leaves, structure = jax.tree.flatten(generative.best_inference())
    noise = jax.random.split(keys[3], len(leaves))
    moved = [
        leaf + offset * jax.random.normal(k, leaf.shape)
        for leaf, k in zip(leaves, noise, strict=True)
    ]
    return Model(generative, jax.tree.unflatten(structure, moved))
