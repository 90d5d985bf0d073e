"""What a model has learned, to look at: manifold, interpolations, posterior samples, weights."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from elbax._door import checked
from elbax._errors import InputError
from elbax._log_weights import draw, encode, log_joint, log_posterior
from elbax._types import Data, PRNGKey, PyTree
from elbax.evaluation.posterior import decode, posterior_means
from elbax.models.interface import Model


def manifold(model: Model, num: int = 20) -> np.ndarray:
    """E[x | z] over a grid of `num` x `num` latents, `[num * num, *event]`, row by row.

    The grid is even in probability: coordinate i is the inverse normal CDF of (i + 1/2) / num,
    rows from high to low in the second latent.

    Args:
        model: of one layer of two latents, normal under the prior.
        num: latents along each side.

    Raises:
        InputError: the model has other latents.

    References: Kingma & Welling 2014, Auto-encoding variational Bayes, appendix A (figure 4).

    >>> model = _two_latents()
    >>> manifold(model, 3).shape
    (9, 4, 4)
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(_latents_of(model))]
    if shapes != [(2,)] or num < 1:
        raise InputError(
            f"expected a model with one layer of two latents, and a grid of at least 1 x 1; got "
            f"latents {shapes} and {num}. Train one with --latents 2."
        )
    points = norm.ppf((jnp.arange(num) + 0.5) / num)
    first, second = jnp.meshgrid(points, points[::-1])
    z = jnp.stack([first.ravel(), second.ravel()], axis=-1)
    return decode(model, jax.tree.unflatten(jax.tree.structure(_latents_of(model)), [z]))


def interpolation(model: Model, start: Data, end: Data, num: int = 10) -> np.ndarray:
    """E[x | z] along straight lines between posterior means, `[N, num, *event]`.

    Args:
        model: a model.
        start: data `[N, *event]` at one end of each line.
        end: data `[N, *event]` at the other.
        num: points on each line, both ends included.

    >>> model = _two_latents()
    >>> interpolation(model, jnp.zeros((5, 4, 4)), jnp.ones((5, 4, 4)), num=7).shape
    (5, 7, 4, 4)
    """
    if num < 2 or np.shape(start) != np.shape(end):
        raise InputError(
            f"expected two equal stacks of data and at least two points; got {np.shape(start)}, "
            f"{np.shape(end)} and {num}."
        )
    weights = np.linspace(0, 1, num, dtype=np.float32)

    def lines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        share = weights.reshape(-1, *[1] * (one.ndim - 1))
        points = (1 - share) * one[:, None] + share * other[:, None]
        return points.reshape(-1, *one.shape[1:])

    z = jax.tree.map(lines, posterior_means(model, start), posterior_means(model, end))
    drawn = decode(model, z)
    return drawn.reshape(len(start), num, *drawn.shape[1:])


def posterior_samples(
    model: Model, x: Data, *, key: PRNGKey, num: int = 5, k: int = 50
) -> tuple[np.ndarray, np.ndarray]:
    """E[x | z] for z from q(z | x), and for z resampled among k by importance weight.

    The second is how IWAE reads the posterior: as k grows, resampled latents follow p(z | x).

    Args:
        model: a model.
        x: data `[N, *event]`.
        key: a random key, consumed here.
        num: samples of each kind per datum.
        k: draws of q that one resampled latent is chosen from.

    Returns:
        Two arrays `[N, num, *event]`: plain and resampled.

    References: Cremer, Morris & Duvenaud 2017, Reinterpreting importance-weighted autoencoders.

    >>> model = _two_latents()
    >>> plain, resampled = posterior_samples(model, jnp.zeros((5, 4, 4)), key=jax.random.key(1))
    >>> plain.shape, resampled.shape
    ((5, 5, 4, 4), (5, 5, 4, 4))
    """
    if num < 1 or k < 1:
        raise InputError(f"expected num >= 1 and k >= 1; got {num} and {k}.")
    x, key = checked(model, x, key)
    params, static = eqx.partition(model, eqx.is_array)
    pairs = [_plain_and_resampled(params, x, one, static, k) for one in jax.random.split(key, num)]
    plain, resampled = (np.stack(kind, axis=1) for kind in zip(*pairs, strict=True))
    return plain, resampled


def weight_images(model: Model, num: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """First-layer weights of the encoder and last-layer weights of the decoder, as images.

    Args:
        model: fully connected next to the data.
        num: hidden units to show, those with the largest weights.

    Returns:
        Two arrays `[num or fewer, *event]`: what each hidden unit reads from the datum, and what
        it writes into it.

    Raises:
        InputError: no weights with one axis per value of the datum.

    >>> model = _two_latents()
    >>> first, last = weight_images(model)
    >>> first.shape, last.shape
    ((3, 4, 4), (3, 4, 4))
    """
    event = jax.eval_shape(model.generative.mean, _latents_of(model)).shape
    size = int(np.prod(event))
    reads = [w for w in _matrices(model.inference) if w.shape[0] == size]
    writes = [w for w in _matrices(model.generative) if w.shape[1] == size]
    if not reads or not writes:
        raise InputError(
            f"expected weights with an axis of {size} values next to the data; found none. This "
            "needs fully connected networks."
        )
    found = (reads[0].T, writes[0])
    largest = [np.argsort(-np.linalg.norm(w, axis=1), kind="stable")[:num] for w in found]
    first, last = (w[i].reshape(-1, *event) for w, i in zip(found, largest, strict=True))
    return first, last


def _matrices(network) -> list[np.ndarray]:
    leaves = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))
    return [np.asarray(leaf) for leaf in leaves if leaf.ndim == 2]


def _latents_of(model: Model) -> PyTree:
    return jax.eval_shape(model.generative.sample_prior, jax.random.key(0))


@partial(jax.jit, static_argnames=("static", "k"))
def _plain_and_resampled(params, x, key, static, k):
    """One plain and one resampled E[x | z] per datum."""
    model = eqx.combine(params, static)
    draw_key, choice_key = jax.random.split(key)
    context = encode(model.inference, x)
    z = draw(model.inference, context, jax.random.split(draw_key, (k, len(x))))
    log_w = log_joint(model.generative, x, z) - log_posterior(model.inference, context, z)
    chosen = jax.random.categorical(choice_key, log_w, axis=0)
    mean = jax.vmap(model.generative.mean)
    resampled = jax.tree.map(lambda leaf: leaf[chosen, jnp.arange(len(x))], z)
    return mean(jax.tree.map(lambda leaf: leaf[0], z)), mean(resampled)


def _two_latents() -> Model:
    """A small model for the examples above."""
    from elbax.models._one_layer import one_layer
    from elbax.models.config import ModelConfig

    return one_layer((4, 4), ModelConfig(hidden=(3,), latents=2), key=jax.random.key(0))
