"""A run that diverges says at which step, of which term, and in which rows."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.distributions import DiagonalNormal
from elbax.models import AbstractGenerative, AbstractInference, Model
from elbax.training.diagnosis import cause

from .runs import all_finite, build, train

PLANTED = 17  # the row with which something is wrong


class Line(AbstractGenerative):
    """x = slope z + noise, and a term that one kind of datum spoils."""

    slope: jax.Array
    spoiled: str = eqx.field(static=True)

    def log_prob(self, x, z):
        noise = DiagonalNormal(self.slope * z, jnp.ones(1))
        log_p = self.log_prior(z) + noise.log_prob(x[:1])
        hit = x[1] > 0
        if self.spoiled == "likelihood":
            return log_p + jnp.where(hit, jnp.inf, 0.0)
        if self.spoiled == "one bound":  # and, on its way back, the gradient of all
            return log_p - jnp.sum(self.slope) * jnp.where(hit, jnp.inf, 0.0)
        if self.spoiled == "gradient":  # sqrt(0) is finite, its derivative is not
            return log_p + jnp.sqrt(jnp.sum(self.slope**2) * jnp.where(hit, 0.0, 1.0))
        return log_p

    def log_prior(self, z):
        scale = -1.0 if self.spoiled == "prior" else 1.0
        return DiagonalNormal(jnp.zeros(1), scale * jnp.ones(1)).log_prob(z)

    def sample_prior(self, key):
        return jax.random.normal(key, (1,))

    def mean(self, z):
        return jnp.concatenate([self.slope * z, jnp.zeros(1)])


class Guess(AbstractInference):
    share: jax.Array
    spoiled: str = eqx.field(static=True)

    def encode(self, x):
        if self.spoiled == "posterior":
            x = jnp.where(x[1] > 0, jnp.nan, x)
        return DiagonalNormal(self.share * x[:1], jnp.ones(1))

    def sample(self, context, key):
        return context.sample(key)

    def log_prob(self, context, z):
        return context.log_prob(z)

    def mean(self, context):
        return context.mean()


def data() -> np.ndarray:
    x = np.zeros((40, 2), np.float32)
    x[:, 0] = np.random.default_rng(0).normal(size=40)
    x[PLANTED, 1] = 1.0
    return x


def planted(spoiled: str) -> dict:
    def model(key):
        return Model(Line(jnp.ones(1), spoiled), Guess(jnp.ones(1) / 2, spoiled))

    return {"model": model, "data": data()}


def diverged(spoiled: str, **options) -> list[dict]:
    result = train("iwae(k=4)", **planted(spoiled), **options)
    return [record for record in result.metrics if "cause" in record]


def test_a_gradient_is_traced_to_its_row_and_parameter():
    (record,) = diverged("gradient", batch_size=40)
    assert record["cause"] == (
        "at step 1 (epoch 1), because the gradient of generative.slope was not finite for 1 of 40 "
        "data (row 17 of the training data)"
    )


def test_the_step_is_that_at_which_the_row_came():
    (record,) = diverged("gradient", batch_size=8, epochs=1)
    _, fleet, _ = build("iwae(k=4)", **planted("gradient"), batch_size=8, epochs=1)
    order = np.asarray(fleet.program.order(fleet.states[0], fleet.images))
    step = list(order).index(PLANTED) // 8 + 1
    assert record["cause"].startswith(f"at step {step} (epoch 1)")
    assert "row 17 " in record["cause"]


def test_one_dead_datum_in_the_first_minibatch_ends_no_run():
    result = train("iwae(k=4)", **planted("one bound"), batch_size=40, epochs=1)
    assert result.metrics[-1]["status"] == "ok"
    assert result.metrics[-1]["num_nonfinite"] == 1
    assert all_finite(result.models[0])


def test_a_prior_that_is_no_density_is_named():
    (record,) = diverged("prior", batch_size=40)
    assert "because the prior's log p(z) was not finite for 40 of 40 data" in record["cause"]
    assert "(rows 0, 1, 2, 3, 4, ... of the training data)" in record["cause"]


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("likelihood", "the likelihood's log p(x | z) was not finite for 1 of 1 data (row 17 "),
        ("posterior", "the encoder's output, the posterior q(z | x), was not finite for 1 of 1 "),
    ],
)
def test_one_datum_alone_in_its_minibatch(spoiled, said):
    (record,) = diverged(spoiled, batch_size=1, epochs=1)
    assert said in record["cause"]


def test_it_is_said_once_and_the_same_again_after_a_resume(tmp_path):
    options = {"batch_size": 8, "epochs": 2}
    (record,) = diverged("gradient", **options, directory=tmp_path / "a", checkpoint_seconds=0.0)
    asked = iter([False, True])
    stopped = {"directory": tmp_path / "b", "stop": lambda: next(asked)}
    found = diverged("gradient", **options, **stopped)
    found += diverged("gradient", **options, directory=tmp_path / "b", resume=True)
    assert [one["cause"] for one in found] == [record["cause"]]
    lines = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in "ab"]
    assert lines[0] == lines[1]


def test_a_model_that_cannot_be_asked_is_no_obstacle():
    _, fleet, _ = build()
    state = fleet.states[0]._replace(status=jnp.asarray(2, jnp.int32))
    broken = dataclasses.replace(fleet.program, static_model=None)
    needs = elbax.iwae(k=4).needs
    said = cause(broken, state, fleet.images, needs)
    assert said.startswith("at step 2 (epoch 1), because something was not finite; what, could not")


def test_a_run_that_is_well_has_no_cause():
    _, fleet, _ = build()
    with pytest.raises(ValueError, match="has not diverged"):
        cause(fleet.program, fleet.states[0], fleet.images, elbax.iwae(k=4).needs)
