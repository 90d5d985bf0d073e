"""The networks run forward on a minibatch, and the maps that pull cotangents back through them."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from elbax import _log_weights as waist
from elbax._types import LogWeights, PRNGKey, PyTree, Scalar
from elbax.models.interface import AbstractGenerative, AbstractInference, Model
from elbax.objectives import Needs


class Encoder:
    """The inference network run forward on a minibatch, as far as samples have no part in it."""

    def __init__(self, inference: AbstractInference, x):
        self.params, self.static = eqx.partition(inference, eqx.is_inexact_array)

        def encode(params):
            return waist.encode(eqx.combine(params, self.static), x)

        self.context, self._pull_encode = jax.vjp(encode, self.params)

    def pull(self, gradient: PyTree, context: PyTree) -> PyTree:
        """The whole gradient, from that of the samples and their cotangent of the context."""
        (encoded,) = self._pull_encode(context)
        return add(encoded, gradient)


class Draws:
    """Samples z of the posterior, and the two maps from the encoder to them, ready to pull back."""

    def __init__(self, encoder: Encoder, keys):
        def of(function):
            return lambda params, *args: function(eqx.combine(params, encoder.static), *args)

        self._encoder = encoder
        draw = of(lambda i, context: waist.draw(i, context, keys))
        z, self.pull_draw = jax.vjp(draw, encoder.params, encoder.context)
        self.z = jax.lax.optimization_barrier(z)
        self._log_posterior = of(waist.log_posterior)

    def log_posterior(self, z: PyTree) -> LogWeights:
        """Log q(z | x), ready to be pulled back to (parameters, context, z)."""
        of = self._encoder
        log_q, self.pull_posterior = jax.vjp(self._log_posterior, of.params, of.context, z)
        return log_q

    def pull(self, dz: PyTree | None, score: LogWeights) -> tuple[PyTree, PyTree]:
        """Gradient and cotangent of the context, from a cotangent of z and weights of the score."""
        gradient, context, _ = self.pull_posterior(score)
        if dz is not None:
            drawn, drawn_context = self.pull_draw(dz)
            gradient, context = add(drawn, gradient), add(drawn_context, context)
        return gradient, context


class Decoder:
    """The generative network run forward: log p(x, z), and the same with a weighted prior."""

    def __init__(
        self, generative: AbstractGenerative, x, z: PyTree, needs: Needs, kl_weight: Scalar
    ):
        params, static = eqx.partition(generative, eqx.is_inexact_array)
        self._params, self._static, self._z = params, static, z

        def joint(params, z):
            network = eqx.combine(params, static)
            log_p = waist.log_joint(network, x, z)
            if not needs.annealed:
                return log_p, log_p
            return log_p + (kl_weight - 1) * waist.log_prior(network, z), log_p

        self._kl_weight = kl_weight
        if needs.path:
            self.annealed, self.pull, self.log_p = jax.vjp(joint, params, z, has_aux=True)
            self.pull_all = self.pull
            return
        # Without a path nothing is pulled back to z, which saves the products that would do it.
        self.annealed, pull, self.log_p = jax.vjp(lambda p: joint(p, z), params, has_aux=True)
        self.pull_all, self.pull = pull, lambda cotangent: (*pull(cotangent), None)

    def prior_gradient(self, cotangent: LogWeights, dz_joint: PyTree, path: PyTree) -> PyTree:
        """What turns the prior's score gradient, weighted by A, into its pathwise one.

        The score is taken out again, and A d log p(x | z) / dz less `path` goes the way of the
        prior's own reparameterization.
        """

        def prior(params, z):
            return self._kl_weight * waist.log_prior(eqx.combine(params, self._static), z)

        def follow(params):
            network = eqx.combine(params, self._static)
            return jax.vmap(jax.vmap(network.follow_prior))(self._z)

        _, pull_prior = jax.vjp(prior, self._params, self._z)
        score, dz_prior = pull_prior(cotangent)
        _, pull_follow = jax.vjp(follow, self._params)
        (gradient,) = pull_follow(subtract(subtract(dz_joint, dz_prior), path))
        return subtract(gradient, score)


def sleep_gradient(model: Model, key: PRNGKey, num_dreams: int) -> PyTree:
    """The mean of d log q(z | x) / d phi over draws (x, z) of the generative network."""

    def dream(key):
        prior_key, data_key = jax.random.split(key)
        z = model.generative.sample_prior(prior_key)
        return model.generative.sample_data(z, data_key), z

    x, z = jax.lax.stop_gradient(jax.vmap(dream)(jax.random.split(key, num_dreams)))

    def value(inference):
        context = waist.encode(inference, x)
        return jnp.mean(jax.vmap(inference.log_prob)(context, z))

    return eqx.filter_grad(value)(model.inference)


def scale(z: PyTree, factor: LogWeights) -> PyTree:
    """Each latent times the factor of its sample and datum."""

    def scaled(leaf):
        return leaf * factor.reshape(factor.shape + (1,) * (leaf.ndim - factor.ndim))

    return jax.tree.map(scaled, z)


def times(factor: Array, tree: PyTree) -> PyTree:
    """Every leaf times one factor."""
    return jax.tree.map(lambda leaf: factor * leaf, tree)


def add(a: PyTree, b: PyTree) -> PyTree:
    """Leaf by leaf."""
    return jax.tree.map(jnp.add, a, b)


def subtract(a: PyTree, b: PyTree) -> PyTree:
    """Leaf by leaf."""
    return jax.tree.map(jnp.subtract, a, b)
