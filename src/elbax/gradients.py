"""Routing: one forward and one decoder backward pass for every objective.

The coefficients of an objective (model A, pathwise P, score S; all `[T, B]`) are pulled back
through the four maps that make a log-weight. The decoder is pulled back once, with A; since
reverse mode is linear per sample, its derivative in z, multiplied by P / A, is the pathwise one.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from elbax import _log_weights as waist
from elbax._numerics import effective_sample_size
from elbax._types import Data, LogWeights, PerDatum, PRNGKey, PyTree
from elbax.models.interface import Model
from elbax.objectives import Channels, Objective

# Weights below this are raised to it before the decoder's backward pass, so that P / A exists
# where A underflows (PIWAE: negligible among all T samples, yet the largest of its own group).
_SMALLEST = 1e-20


class Info(NamedTuple):
    """What one evaluation of an objective saw, per datum; bounds in nats."""

    bound: PerDatum
    """Value of the generative bound."""
    inference_bound: PerDatum
    """Value of the inference bound."""
    ess: PerDatum
    """Effective sample size among the T samples."""
    finite: Bool[Array, " b"]
    """False where a bound is not finite; such data are left out of the mean and the gradient."""
    log_w: LogWeights
    """The log-weights."""


def value_and_grad(objective: Objective) -> Callable[..., tuple[tuple[Array, Info], Model]]:
    """The objective's value, and its gradient by the objective's rule.

    Args:
        objective: what to maximize.

    Returns:
        A function `(model, x [B, *event], *, key) -> ((value, info), gradients)`. The value is the
        generative bound itself in nats per datum, averaged over the data whose bounds are finite
        (`info.finite` tells which); it is never a surrogate. The gradients are shaped like the
        model and point uphill. With all data dead the value is NaN and the gradients are zero.

    References: DReG and the ratio form of the pathwise term follow Tucker et al. 2019, section 3.

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> from elbax.objectives import iwae
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> step = value_and_grad(iwae(k=8, gradient="dreg"))
    >>> (value, info), gradients = step(model, jnp.zeros((5, 3)), key=jax.random.key(1))
    >>> bool(value == info.bound.mean())
    True
    """

    def evaluate(model: Model, x: Data, *, key: PRNGKey):
        return routed(objective.num_samples, objective.channels, model, jnp.asarray(x), key)

    return evaluate


def routed(
    num_samples: int,
    channels_of: Callable[[LogWeights], Channels],
    model: Model,
    x: Float[Array, "b ..."],
    key: PRNGKey,
) -> tuple[tuple[Array, Info], Model]:
    """`value_and_grad` with the coefficients given as a function of the log-weights.

    A fleet passes one that chooses among its runs' objectives; the decoder's work is shared.
    """
    (generative, inference), static = eqx.partition(
        (model.generative, model.inference), eqx.is_inexact_array
    )
    static_generative, static_inference = static
    keys = jax.random.split(key, (num_samples, x.shape[0]))

    def with_inference(function):
        return lambda inference, *args: function(eqx.combine(inference, static_inference), *args)

    def log_joint(generative, z):
        return waist.log_joint(eqx.combine(generative, static_generative), x, z)

    # Forward: encoder, samples, decoder, posterior density.
    context, pull_encode = jax.vjp(lambda i: with_inference(waist.encode)(i, x), inference)
    draw = with_inference(lambda i, c: waist.draw(i, c, keys))
    z, pull_draw = jax.vjp(draw, inference, context)
    log_p, pull_joint = jax.vjp(log_joint, generative, z)
    log_q, pull_posterior = jax.vjp(with_inference(waist.log_posterior), inference, context, z)
    log_w = log_p - log_q
    channels = channels_of(log_w)

    # The mean over finite data is part of every coefficient.
    count = jnp.sum(channels.finite)
    share = 1 / jnp.maximum(count, 1).astype(log_w.dtype)
    model_weight, pathwise, score = (
        share * c for c in (channels.model, channels.pathwise, channels.score)
    )

    # Model channel: the only backward pass of the decoder.
    cotangent = _raised(model_weight, pathwise)
    generative_gradient, dz_joint = pull_joint(cotangent)

    # Pathwise channel: d log w / dz at fixed parameters, then through the samples.
    _, _, dz_posterior = pull_posterior(-pathwise)
    dz = _add(_scale(dz_joint, _ratio(pathwise, cotangent)), dz_posterior)
    drawn_inference, drawn_context = pull_draw(dz)

    # Score channel: d log q / d phi at fixed z; then both meet in the encoder.
    score_inference, score_context, _ = pull_posterior(score)
    (encoded,) = pull_encode(_add(drawn_context, score_context))
    inference_gradient = _add(_add(encoded, drawn_inference), score_inference)

    value = jnp.sum(jnp.where(channels.finite, channels.value, 0)) * share
    value = jnp.where(count > 0, value, jnp.nan)
    ess = effective_sample_size(log_w)
    info = Info(channels.value, channels.inference_value, ess, channels.finite, log_w)
    return (value, info), Model(generative_gradient, inference_gradient)


def _raised(model_weight: LogWeights, pathwise: LogWeights) -> LogWeights:
    """A, raised to a tiny floor where the pathwise channel needs a nonzero divisor."""
    underflown = (jnp.abs(model_weight) < _SMALLEST) & (pathwise != 0)
    return jnp.where(underflown, _SMALLEST, model_weight)


def _ratio(pathwise: LogWeights, cotangent: LogWeights) -> LogWeights:
    return jnp.where(pathwise == 0, 0, pathwise / jnp.where(cotangent == 0, 1, cotangent))


def _scale(z: PyTree, factor: LogWeights) -> PyTree:
    def scaled(leaf):
        return leaf * factor.reshape(factor.shape + (1,) * (leaf.ndim - factor.ndim))

    return jax.tree.map(scaled, z)


def _add(a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(jnp.add, a, b)
