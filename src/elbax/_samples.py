"""Samples run forward to log-weights and pulled back by weights: all at once, or by chunks.

Log-weights become weights all together, but before and after that every sample goes by itself,
and a gradient is a sum over samples. So where the networks' arrays of all samples do not fit in
memory two passes over chunks do the same: the first keeps the log-weights, the second runs each
chunk forward again and pulls it back.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from elbax._pullbacks import Decoder, Draws, Encoder, add, scale
from elbax._types import LogWeights, PyTree, Scalar
from elbax.models.interface import AbstractGenerative
from elbax.objectives import Needs
from elbax.rules import Coefficients

# Weights below this are raised to it before the decoder's backward pass, so that P / A exists
# where A underflows (PIWAE: negligible among all T samples, yet the largest of its own group).
_SMALLEST = 1e-20

# Samples are cut by themselves where a step would keep more than so much of them between its
# forward and its backward pass. The same on every machine, and for a run in any company.
_MOST_BYTES = 2**30
_ALWAYS_WHOLE = 2**14  # rows (samples times data) that are not worth a look


class Weights(NamedTuple):
    """What samples are pulled back by, constants of shape `[T, B]`."""

    model: LogWeights
    inference: Coefficients
    prior_path: LogWeights
    noise: Coefficients | None
    """Of the derivative with respect to beta, where a plan asks for it."""


class Pulled(NamedTuple):
    """Sums over samples: gradients, those of the inference network as (parameters, context)."""

    generative: PyTree
    inference: tuple[PyTree, PyTree]
    prior_change: PyTree
    """What makes the prior's gradient the pathwise one; None where that is not needed."""
    noise: PyTree


class Samples:
    """Some samples of a minibatch run forward: their log-weights, ready to be pulled back."""

    def __init__(
        self,
        generative: AbstractGenerative,
        encoder: Encoder,
        x: Float[Array, "b ..."],
        needs: Needs,
        kl_weight: Scalar,
        dead: Bool[Array, " b"] | None,
        keys: Key[Array, "t b"],
    ):
        self._needs, self._kl_weight = needs, kl_weight
        self.draws = Draws(encoder, keys)
        z = self.draws.z if needs.path else jax.lax.stop_gradient(self.draws.z)
        self.decoder = Decoder(generative, x, z, needs, kl_weight)
        log_q = self.draws.log_posterior(z)
        if dead is not None:  # in all that follows they are not finite
            log_q = jnp.where(dead, jnp.nan, log_q)
        self.log_w = self.decoder.log_p - log_q
        self.annealed = self.decoder.annealed - kl_weight * log_q

    def pulled(self, weights: Weights) -> Pulled:
        """The gradients that these samples give."""
        needs, change = self._needs, None
        # Model channel: the only backward pass of the decoder.
        cotangent = weights.model
        if needs.path:
            cotangent = _raised(cotangent, weights.inference.pathwise)
        generative, dz_joint = self.decoder.pull(cotangent)

        def d_log_w(coefficients: LogWeights) -> PyTree:
            """(d log w / d z) times coefficients, at fixed parameters."""
            ratio = _ratio(coefficients, cotangent)
            from_posterior = self.draws.pull_posterior(-self._kl_weight * coefficients)[2]
            return add(scale(dz_joint, ratio), from_posterior)

        def of_inference(weights: Coefficients) -> tuple[PyTree, PyTree]:
            path = d_log_w(weights.pathwise) if needs.path else None
            return self.draws.pull(path, weights.score)

        inference = of_inference(weights.inference)
        if needs.prior_path:
            path = d_log_w(weights.prior_path)
            change = self.decoder.prior_gradient(cotangent, dz_joint, path)
        noise = None if weights.noise is None else of_inference(weights.noise)
        return Pulled(generative, inference, change, noise)

    @property
    def kept(self) -> list[Array]:
        """What the backward pass needs of the forward pass."""
        pulls = self.decoder.pull_all, self.draws.pull_draw, self.draws.pull_posterior
        return jax.tree.leaves(pulls)


Forward = Callable[[Key[Array, "t b"]], Samples]


class AllSamples:
    """Every sample at once."""

    def __init__(self, forward: Forward, keys: Key[Array, "t b"]):
        self._samples = forward(keys)
        self.log_w, self.annealed = self._samples.log_w, self._samples.annealed

    def pulled(self, weights: Weights) -> Pulled:
        """The gradients, summed over samples."""
        return self._samples.pulled(weights)


class ChunkedSamples:
    """Chunk by chunk, in two passes; the draws are those of all samples at once."""

    def __init__(self, forward: Forward, keys: Key[Array, "t b"], chunk: int):
        self._forward, self._num = forward, len(keys)
        self._num_chunks = -(-self._num // chunk)
        self._size = -(-self._num // self._num_chunks)
        # The last chunk is filled up with samples again, whose weights are zero.
        num_more = self._num_chunks * self._size - self._num
        self._keys = self._cut(jnp.concatenate([keys, keys[:num_more]]))

        def log_weights(keys):
            samples = forward(keys)
            return samples.log_w, samples.annealed

        both = jax.lax.map(log_weights, self._keys)
        self.log_w, self.annealed = (
            array.reshape(-1, array.shape[-1])[: self._num] for array in both
        )

    def _cut(self, array: Array) -> Array:
        return array.reshape(self._num_chunks, self._size, *array.shape[1:])

    def pulled(self, weights: Weights) -> Pulled:
        """The gradients, summed over chunks one after the other."""
        missing = self._num_chunks * self._size - self._num

        def filled(weight: LogWeights) -> Array:
            return self._cut(jnp.pad(weight, ((0, missing), (0, 0))))

        def one(chunk) -> Pulled:
            keys, weights = chunk
            return self._forward(keys).pulled(weights)

        def more(total: Pulled, chunk) -> tuple[Pulled, None]:
            return add(total, one(chunk)), None

        chunks = self._keys, jax.tree.map(filled, weights)
        shapes = jax.eval_shape(one, jax.tree.map(lambda leaf: leaf[0], chunks))
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.scan(more, nothing, chunks)[0]


def run_forward(
    forward: Forward, keys: Key[Array, "t b"], chunk: int | None
) -> AllSamples | ChunkedSamples:
    """Samples run forward at once or `chunk` at a time; None cuts them where memory asks for it."""
    chunk = _by_memory(forward, keys) if chunk is None else chunk
    return AllSamples(forward, keys) if chunk >= len(keys) else ChunkedSamples(forward, keys, chunk)


def _by_memory(forward: Forward, keys: Key[Array, "t b"]) -> int:
    """As many samples as keep less than `_MOST_BYTES` between the two passes."""
    if keys.size <= _ALWAYS_WHOLE:
        return len(keys)
    kept = jax.eval_shape(lambda keys: forward(keys).kept, keys)
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in kept)
    return max(1, len(keys) // max(1, -(-num_bytes // _MOST_BYTES)))


def _raised(model_weight: LogWeights, pathwise: LogWeights) -> LogWeights:
    """A, raised to a tiny floor where the pathwise channel needs a nonzero divisor."""
    underflown = (jnp.abs(model_weight) < _SMALLEST) & (pathwise != 0)
    return jnp.where(underflown, _SMALLEST, model_weight)


def _ratio(pathwise: LogWeights, cotangent: LogWeights) -> LogWeights:
    return jnp.where(pathwise == 0, 0, pathwise / jnp.where(cotangent == 0, 1, cotangent))
