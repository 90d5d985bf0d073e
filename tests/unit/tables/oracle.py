"""A linear-Gaussian model of a table, and what of it is known in closed form, in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax.distributions import DiagonalNormal
from elbax.models import Generative, Inference, Model
from elbax.models.cells import Row
from elbax.tables.schema import Column, Schema

SCALES, CENTERS = np.array([2.0, 0.5, 1.0, 3.0]), np.array([1.0, -2.0, 0.0, 5.0])
SCHEMA = Schema(
    tuple(
        Column(f"x{i}", "gaussian", center=float(c), scale=float(s))
        for i, (c, s) in enumerate(zip(CENTERS, SCALES, strict=True))
    )
)


class Line(eqx.Module):
    """x = W z + b + s eps, standardized."""

    weight: jax.Array
    bias: jax.Array
    noise: jax.Array

    def __call__(self, z):
        scale = jnp.broadcast_to(self.noise, self.bias.shape)
        return Row({"gaussian": jnp.stack([self.weight @ z + self.bias, scale], axis=1)}, SCHEMA)


class Guess(eqx.Module):
    """A linear q(z | x_observed), zeros in holes, its scale and an offset."""

    weight: jax.Array
    offset: jax.Array
    log_scale: jax.Array

    def __call__(self, x):
        seen = jnp.where(jnp.isnan(x), 0, x)
        return DiagonalNormal(self.weight @ seen + self.offset, jnp.exp(self.log_scale))


class Exact:
    """What NumPy says in float64."""

    def __init__(self, line: Line):
        self.weight = np.asarray(line.weight, np.float64)
        self.bias = np.asarray(line.bias, np.float64)
        self.noise = float(line.noise)

    def log_marginal(self, x) -> float:
        """Log p of the observed cells, in the user's units."""
        from scipy.stats import multivariate_normal

        there = ~np.isnan(x)
        mean, covariance = self._joint()
        if not there.any():
            return 0.0
        x = np.asarray(x, np.float64)
        part = multivariate_normal(mean[there], covariance[np.ix_(there, there)])
        return float(part.logpdf(x[there])) - float(np.log(SCALES[there]).sum())

    def conditional(self, x) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the missing cells given the observed, standardized."""
        there = ~np.isnan(x)
        mean, covariance = self._joint()
        gain = covariance[np.ix_(~there, there)] @ np.linalg.inv(covariance[np.ix_(there, there)])
        found = mean[~there] + gain @ (np.asarray(x, np.float64)[there] - mean[there])
        left = covariance[np.ix_(~there, ~there)] - gain @ covariance[np.ix_(there, ~there)]
        return found, left

    def _joint(self):
        covariance = self.weight @ self.weight.T + self.noise**2 * np.eye(len(self.bias))
        return self.bias, covariance

    def elbo_gradient(self, guess: Guess, x) -> np.ndarray:
        """d / d offset of the ELBO, averaged over the rows of x: by hand.

        E_q log p(x_o | z) = -sum_o ((x_j - b_j - W_j m)^2 + W_j V W_j) / 2 s^2, E_q log p(z) =
        -(m^2 + V) / 2, and the entropy does not know m = A x + offset.
        """
        total = np.zeros(self.weight.shape[1])
        for row in np.asarray(x, np.float64):
            there = ~np.isnan(row)
            m = np.asarray(guess.weight, float) @ np.nan_to_num(row) + np.asarray(guess.offset)
            residual = row[there] - self.bias[there] - self.weight[there] @ m
            total += self.weight[there].T @ residual / self.noise**2 - m
        return total / len(x)


def linear_table(key, num_latents: int = 2) -> tuple[Model, Exact]:
    """A model, its encoder no more than a guess, and what is known of it."""
    keys = jax.random.split(key, 4)
    size = len(SCALES)
    line = Line(
        jax.random.normal(keys[0], (size, num_latents)),
        0.3 * jax.random.normal(keys[1], (size,)),
        jnp.asarray(0.7),
    )
    guess = Guess(
        0.3 * jax.random.normal(keys[2], (num_latents, size)),
        0.1 * jax.random.normal(keys[3], (num_latents,)),
        jnp.full(num_latents, -0.1),
    )
    return Model(Generative(line, num_latents, (size,)), Inference(guess)), Exact(line)


def masked(model: Model, num_rows: int, key, share: float = 0.4) -> np.ndarray:
    """Draws of the model, a share of their cells missing at random, one row wholly."""
    import elbax

    x = elbax.sample(model, num_rows, key=key)
    holes = np.random.default_rng(0).random(x.shape) < share
    holes[-1] = True
    return np.where(holes, np.nan, x).astype(np.float32)
