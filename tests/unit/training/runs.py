"""Tiny runs for the tests of training: data, models, fleets, and what two runs have in common."""

import itertools
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import elbax
from elbax.distributions import DiagonalNormal
from elbax.objectives import parse
from elbax.training.checkpoints import named_leaves
from elbax.training.fleet import Fleet
from elbax.training.state import ObjectiveTable, init_key, initial_state, run_key
from elbax.training.step import Program

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


def train(objectives="iwae(k=4)", data=None, *, epochs=2, batch_size=8, **options):
    """`elbax.fit` of a tiny model; what is no option of `fit` goes to its configuration."""
    names = set(elbax.TrainConfig.__dataclass_fields__) & set(options)
    protocol = {name: options.pop(name) for name in names}
    config = elbax.TrainConfig(epochs=epochs, batch_size=batch_size, **protocol)
    data = binary_images() if data is None else data
    return elbax.fit(objectives, data, **{"model": MODEL, "config": config, **options})


def fleet_of(specs, config, images, *, seeds=(0,), fleet_map="sequential", build=None) -> Fleet:
    """A fleet of specs x seeds made from its parts, for tests that cut its steps themselves."""
    runs = [(parse(spec), seed) for spec in specs for seed in seeds]
    build = build or (lambda key: elbax.one_layer(images.shape[1:], MODEL, key=key))
    models = [build(init_key(seed)) for _, seed in runs]
    table = ObjectiveTable([objective for objective, _ in runs])
    states = [
        initial_state(model, config, run_key(seed), kind, hyper)
        for model, (_, seed), kind, hyper in zip(models, runs, table.kind, table.hyper, strict=True)
    ]
    static = eqx.filter(models[0], eqx.is_inexact_array, inverse=True)
    program = Program(static, table, config, levels=1.0, dynamic=False)
    return Fleet(program, jnp.asarray(images), states, fleet_map)


def bits(tree) -> dict[str, bytes]:
    """Every array of a pytree by name, as its dtype, shape and bytes: NaN equals NaN."""
    return {
        name: f"{leaf.dtype} {leaf.shape} ".encode() + leaf.tobytes()
        for name, leaf in named_leaves(tree).items()
    }


def model_bits(model) -> dict[str, bytes]:
    return bits(eqx.filter(model, eqx.is_array))


def metrics_of(result, index: int) -> list[str]:
    """The records of one run of a result, as text, so that NaN equals NaN."""
    name = result.runs[index].name
    return [repr(record) for record in result.metrics if record["run"] == name]


def all_finite(tree) -> bool:
    return all(np.isfinite(leaf).all() for leaf in named_leaves(tree).values())


class Clock:
    """Stands for the module `time`: one second passes between two looks at it."""

    def __init__(self):
        self._ticks = itertools.count()

    def perf_counter(self) -> float:
        return float(next(self._ticks))


def slow_machine(monkeypatch) -> None:
    """Let `fit` think that every chunk takes a second, so that it cuts an epoch in many."""
    monkeypatch.setattr(
        "elbax.training.fit.time", SimpleNamespace(perf_counter=Clock().perf_counter)
    )


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
