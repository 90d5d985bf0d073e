r"""The waist: (model, x, key, K) -> log-importance-weights `[K, B]`.

`log w_k = log p_theta(x, z_k) - log q_phi(z_k | x)`, z_k drawn from q_phi(. | x). Everything
before it is a model, everything after it a function of these weights.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from elbax._door import checked
from elbax._errors import InputError
from elbax._types import Data, LogWeights, PRNGKey, PyTree
from elbax.models.interface import AbstractGenerative, AbstractInference, Model


def log_weights(model: Model, x: Data, num_samples: int, *, key: PRNGKey) -> LogWeights:
    """Log-importance-weights of `num_samples` draws for each datum.

    Args:
        model: a model with `.generative` and `.inference`.
        x: data `[B, *event]`.
        num_samples: K, at least 1.
        key: a random key, consumed here.

    Raises:
        InputError: a shape, values or a key that cannot be right for this model.

    Returns:
        `log_w [K, B]` in nats.

    >>> import jax.numpy as jnp
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> log_weights(model, jnp.zeros((5, 3)), 4, key=jax.random.key(1)).shape
    (4, 5)
    """
    if isinstance(num_samples, bool) or num_samples != int(num_samples) or num_samples < 1:
        raise InputError(f"expected num_samples >= 1, a whole number; got {num_samples!r}.")
    x, key = checked(model, x, key)
    return _log_weights(model, x, int(num_samples), key)


@eqx.filter_jit
def _log_weights(
    model: Model, x: Float[Array, "b ..."], num_samples: int, key: PRNGKey
) -> LogWeights:
    return log_weights_of(model, x, jax.random.split(key, (num_samples, x.shape[0])))


def log_weights_of(model: Model, x: Float[Array, "b ..."], keys: Key[Array, "k b"]) -> LogWeights:
    """Log-importance-weights with a random key for each sample and datum.

    For callers that cut the work in blocks and want the same draws whatever the cut.
    """
    context = encode(model.inference, x)
    z = draw(model.inference, context, keys)
    return log_joint(model.generative, x, z) - log_posterior(model.inference, context, z)


# The four maps that make a log-weight, batched: data on axis 0, samples outside them.


def encode(inference: AbstractInference, x: Float[Array, "b ..."]) -> PyTree:
    """What q(. | x) needs of each datum, `[B, ...]`: the encoder, once per datum."""
    return jax.vmap(inference.encode)(x)


def draw(inference: AbstractInference, context: PyTree, keys: Key[Array, "k b"]) -> PyTree:
    """Latents z `[K, B, ...]`."""
    per_datum = jax.vmap(inference.sample)
    return jax.vmap(per_datum, in_axes=(None, 0))(context, keys)


def log_joint(generative: AbstractGenerative, x: Float[Array, "b ..."], z: PyTree) -> LogWeights:
    """Log p(x, z) `[K, B]`: the decoder, nearly all the work."""
    per_datum = jax.vmap(generative.log_prob)
    return jax.vmap(per_datum, in_axes=(None, 0))(x, z)


def log_prior(generative: AbstractGenerative, z: PyTree) -> LogWeights:
    """Log p(z) `[K, B]`."""
    return jax.vmap(jax.vmap(generative.log_prior))(z)


def log_posterior(inference: AbstractInference, context: PyTree, z: PyTree) -> LogWeights:
    """Log q(z | x) `[K, B]`."""
    per_datum = jax.vmap(inference.log_prob)
    return jax.vmap(per_datum, in_axes=(None, 0))(context, z)
