"""Tiny runs for the tests of training: data, models, fleets, and what two runs have in common."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import elbax
from elbax.distributions import DiagonalNormal
from elbax.training.setup import new_fleet

MODEL = elbax.ModelConfig(hidden=(8,), latents=2)


def binary_images(num_data: int = 40, num_features: int = 6) -> np.ndarray:
    """Two kinds of image with a little noise, `[N, D]` float32 of 0 and 1: easy to learn."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=(num_data, 1))
    pattern = (np.arange(num_features) % 2 == kind).astype(np.float32)
    return np.where(rng.random(pattern.shape) < 0.05, 1 - pattern, pattern)


def grey_dataset(num_data: int = 40, num_features: int = 6) -> elbax.Dataset:
    """Grey uint8 images that training binarises afresh at every step."""
    grey = np.random.default_rng(1).integers(256, size=(num_data, num_features)).astype(np.uint8)
    return elbax.Dataset(name="grey", train=grey, test=grey, levels=255.0, binarise="dynamic")


def tiny(options: dict) -> dict:
    """Arguments of `fit` for a tiny run: fields of its configuration are taken by their names."""
    fields = set(elbax.TrainConfig.__dataclass_fields__)
    protocol = {name: value for name, value in options.items() if name in fields}
    config = elbax.TrainConfig(**{"epochs": 2, "batch_size": 8, **protocol})
    others = {name: value for name, value in options.items() if name not in fields}
    return {"data": binary_images(), "model": MODEL, "config": config, **others}


def train(objectives="iwae(k=4)", **options):
    """`elbax.fit` of tiny runs."""
    return elbax.fit(objectives, **tiny(options))


def build(objectives="iwae(k=4)", **options):
    """Tiny runs before their first step: their specs, fleet and identity."""
    return new_fleet(objectives, **tiny(options))


def bits(tree) -> dict[str, bytes]:
    """Every array of a pytree by path, as its dtype, shape and bytes: NaN equals NaN."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): _bits_of(leaf) for path, leaf in paths}


def _bits_of(leaf) -> bytes:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
    return f"{array.dtype} {array.shape} ".encode() + array.tobytes()


def model_bits(model) -> dict[str, bytes]:
    return bits(eqx.filter(model, eqx.is_array))


def all_finite(tree) -> bool:
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


class Clock:
    """Stands for the module `time`: one second passes between two looks at it."""

    def __init__(self):
        self._ticks = itertools.count()

    def perf_counter(self) -> float:
        return float(next(self._ticks))


def slow_machine(monkeypatch) -> None:
    """Let `fit` think that every chunk takes a second, so that it cuts an epoch in many."""
    monkeypatch.setattr("elbax.training.loop.time", Clock())


class ProbeGenerative(elbax.AbstractGenerative):
    """Log p(x, z) = weight . x: the bound is then a code of the minibatch that was seen."""

    weight: jax.Array

    def log_prob(self, x, z):
        return jnp.dot(self.weight, x) + 0 * jnp.sum(z)

    def sample_prior(self, key):
        return jax.random.normal(key, (1,))

    def mean(self, z):
        return self.weight


class ProbeInference(elbax.AbstractInference):
    """Log q(z | x) = 0, whatever z."""

    loc: jax.Array

    def encode(self, x):
        return DiagonalNormal(self.loc, jnp.ones(1))

    def sample(self, context, key):
        return context.sample(key)

    def log_prob(self, context, z):
        return 0 * jnp.sum(context.loc + z)

    def mean(self, context):
        return context.loc


def probe(num_features: int):
    """A builder of a model whose bound is the mean over the minibatch of `sum_d 2^d x_d`."""

    def build(_key):
        weight = 2.0 ** jnp.arange(num_features)
        return elbax.Model(ProbeGenerative(weight), ProbeInference(jnp.zeros(1)))

    return build
