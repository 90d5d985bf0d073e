"""Steps of training against a hand-written Adam in float64, and what a minibatch holds."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax import _keys
from elbax._arrays import named_leaves
from elbax.data.binarise import binarise_batch
from elbax.spelling import parse
from elbax.training.fleet import compiled
from elbax.training.state import run_key

from .runs import build, grey_dataset, probe, train

SPEC = "piwae(m=2, k=2)"
STEPS, PER_EPOCH, BATCH = 8, 5, 8  # into the second epoch
STORED = np.random.default_rng(2).integers(17, size=(44, 6)).astype(np.uint8)
DATA = elbax.Dataset(name="sixteenths", train=STORED, test=STORED, levels=16.0)
PROTOCOL = elbax.TrainConfig(
    epochs=2,
    batch_size=BATCH,
    learning_rate=0.01,
    schedule="burda",
    adam_b1=0.8,
    adam_b2=0.9,
    clip_norm=0.9,
)
# Of ten steps stages 5, 6 and 7 begin at 121 / 328, 364 / 328 and 1093 / 328, rounded.
RATES = 10.0 ** (-np.array([5, 6, 6, *[7] * 7]) / 7)
gradient_of = jax.jit(elbax.value_and_grad(parse(SPEC)))


@pytest.fixture
def quick_compilation():
    """Compile with few optimizations: in float64 they change no digit that these tests look at."""
    compiled.cache_clear()
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    compiled.cache_clear()


def new_fleet():
    _, fleet, _ = build(SPEC, data=DATA, config=PROTOCOL)
    return fleet


class Adam:
    """Kingma & Ba 2015, algorithm 1, uphill, in float64 NumPy."""

    def __init__(self, config):
        self.b1, self.b2, self.eps = config.adam_b1, config.adam_b2, config.adam_eps
        self.first, self.second, self.t = {}, {}, 0

    def direction(self, gradient: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.t += 1
        out = {}
        for name, g in gradient.items():
            self.first[name] = self.b1 * self.first.get(name, 0) + (1 - self.b1) * g
            self.second[name] = self.b2 * self.second.get(name, 0) + (1 - self.b2) * g**2
            mean = self.first[name] / (1 - self.b1**self.t)
            square = self.second[name] / (1 - self.b2**self.t)
            out[name] = mean / (np.sqrt(square) + self.eps)
        return out


def minibatch(key, step):
    """The rows of a step: each epoch's order comes from the stream "order" at that epoch."""
    epoch, position = divmod(step, PER_EPOCH)
    order = jax.random.permutation(_keys.step_key(key, "order", epoch), len(STORED))
    return jnp.asarray(STORED / np.float32(16))[order[position * BATCH : (position + 1) * BATCH]]


@functools.cache
def train_by_hand(*, summed=True):
    """STEPS steps of SPEC, seed 0: parameters by name, and what every step saw."""
    key, model = run_key(0), new_fleet().model(0)
    adam, seen = Adam(PROTOCOL), []
    for step in range(STEPS):
        noise = _keys.step_key(key, "noise", step)
        (value, info), gradient = gradient_of(model, minibatch(key, step), key=noise)
        gradient = named_leaves(gradient)
        norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
        seen.append(SimpleNamespace(value=float(value), info=info, norm=norm))
        scale = min(1, PROTOCOL.clip_norm / norm) * (BATCH if summed else 1)
        direction = adam.direction({name: scale * g for name, g in gradient.items()})
        rate = np.float32(PROTOCOL.learning_rate) * np.float32(RATES[step])
        flat, structure = jax.tree.flatten(model)
        moved = [p + rate * d for p, d in zip(flat, direction.values(), strict=True)]
        model = jax.tree.unflatten(structure, moved)
    return named_leaves(model), seen


@functools.cache
def train_compiled():
    """The same by the library: the states after the first epoch and at the end."""
    fleet = new_fleet()
    chunk = jax.jit(functools.partial(fleet.program.chunk, needs=fleet.program.objectives.needs[0]))
    first = chunk(fleet.states[0], fleet.images, jnp.asarray(PER_EPOCH))
    return first, chunk(first, fleet.images, jnp.asarray(STEPS - PER_EPOCH))


def distance(first, second) -> float:
    assert first.keys() == second.keys()
    return max(np.abs(first[name] - second[name]).max() for name in first)


@pytest.mark.usefixtures("x64", "quick_compilation")
def test_steps_are_adam_on_the_clipped_gradient_summed_over_the_minibatch():
    _, state = train_compiled()
    expected, seen = train_by_hand()
    assert int(state.step) == STEPS
    assert distance(named_leaves(state.params), expected) < 1e-12
    # Some of the gradients were clipped, some not.
    assert min(step.norm for step in seen) < PROTOCOL.clip_norm < max(step.norm for step in seen)


@pytest.mark.usefixtures("x64", "quick_compilation")
def test_adam_on_the_mean_gradient_would_be_told_apart():
    expected, _ = train_by_hand()
    mean, _ = train_by_hand(summed=False)
    assert distance(mean, expected) > 1e-7


@pytest.mark.usefixtures("x64", "quick_compilation")
def test_sums_are_over_the_steps_of_one_epoch():
    first, last = train_compiled()
    _, seen = train_by_hand()
    for state, steps in ((first, seen[:PER_EPOCH]), (last, seen[PER_EPOCH:])):
        expected = {
            "steps": len(steps),
            "bound": sum(step.value for step in steps),
            "annealed_bound": sum(step.value for step in steps),
            "inference_bound": sum(float(step.info.inference_bound.mean()) for step in steps),
            "ess": sum(float(step.info.ess.mean()) for step in steps),
            "grad_norm": sum(step.norm for step in steps),
            "num_nonfinite": 0,
        }
        sums = {name: float(value) for name, value in state.sums._asdict().items()}
        assert sums == pytest.approx(expected, rel=1e-9)


def codes_seen(data, num_features: int, **options) -> np.ndarray:
    """Per epoch, the sum over its minibatches' data of `sum_d 2^d x_d`; nothing is learned."""
    result = train("vae(m=1)", data=data, model=probe(num_features), learning_rate=1e-30, **options)
    per_epoch = len(getattr(data, "train", data)) // options["batch_size"] * options["batch_size"]
    return np.array([record["bound"] * per_epoch for record in result.metrics])


def test_dynamic_binarisation_is_drawn_afresh_at_every_step():
    data = grey_dataset(1, 10)
    codes = codes_seen(data, 10, epochs=6, batch_size=1)
    keys = [_keys.step_key(run_key(0), "binarise", step) for step in range(6)]
    drawn = np.concatenate([binarise_batch(key, data.train, 255) for key in keys])
    assert set(np.unique(drawn).tolist()) == {0.0, 1.0}
    np.testing.assert_array_equal(codes, drawn @ 2 ** np.arange(10))
    assert len(set(codes.tolist())) == 6


def test_an_epoch_sees_each_datum_once_and_leaves_an_incomplete_minibatch_out():
    codes = codes_seen(np.eye(9, dtype=np.float32), 9, epochs=8, batch_size=4)
    # One datum per bit: eight different bits are set, and the one left out changes.
    assert all(int(code).bit_count() == 8 and code == int(code) for code in codes)
    assert len(set(codes.tolist())) > 2
