"""Ranks under the exact posterior are uniform; planted encoders that are off are found."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.evaluation.calibration import JOINT, Calibration
from elbax.models._linear_gaussian import LinearGaussian
from tests.models import hierarchical

DATA = 1000


@functools.cache
def exact():
    """W with orthogonal columns: the posterior is diagonal, and q is it."""
    rng = np.random.default_rng(4)
    columns, _ = np.linalg.qr(rng.normal(size=(5, 3)))
    parts = (rng.normal(size=3), columns * np.array([0.5, 1.0, 3.0]), rng.normal(size=5), -0.4)
    generative = LinearGaussian(*(jnp.asarray(part, jnp.float32) for part in parts))
    return elbax.Model(generative, jax.jit(lambda p: p.best_inference())(generative))


def moved(scale=0.0, shift=0.0):
    q = exact().inference
    return eqx.tree_at(
        lambda m: (m.inference.log_scale, m.inference.bias),
        exact(),
        (q.log_scale + scale, q.bias + shift),
    )


def found(model, **options) -> Calibration:
    return elbax.calibration(model, DATA, key=jax.random.key(5), **options)


@pytest.mark.parametrize("resampled", [False, True])
def test_the_exact_posterior_is_calibrated(resampled):
    good = found(exact(), resampled=resampled)
    for name in ("layer 1", JOINT):
        assert good.p_value(name) > 1e-3
        for share in (0.5, 0.9):
            error = (share * (1 - share) / DATA) ** 0.5
            assert abs(good.coverage(name, share) - share) < 4 * error
            assert good.coverage_error(name, share) < 1.5 * error
        shares, error = good.shares(name)
        assert shares.sum() == pytest.approx(1)
        assert (np.abs(shares - 1 / 20) < 4.5 * error).all()


@pytest.mark.parametrize("name", ["narrow", "wide", "shifted"])
def test_an_encoder_that_is_off_is_found(name):
    model = {"narrow": moved(-0.3), "wide": moved(0.3), "shifted": moved(shift=0.2)}[name]
    off = found(model)
    assert off.p_value("layer 1") < 1e-6
    if name != "shifted":
        error = (0.9 * 0.1 / DATA) ** 0.5
        for kind in ("layer 1", JOINT):
            z = (off.coverage(kind) - 0.9) / error
            assert z < -4.5 if name == "narrow" else z > 4.5
    # Resampled by their weights, a thousand draws of it are draws of the posterior.
    again = found(model, resampled=True)
    assert min(again.p_value(kind) for kind in ("layer 1", JOINT)) > 1e-3


def test_layers_have_ranks_of_their_own():
    deep = elbax.calibration(hierarchical((3, 2)), 20, key=jax.random.key(1), num_draws=9)
    assert {name: ranks.shape for name, ranks in deep.ranks.items()} == {
        "layer 1": (20, 3),
        "layer 2": (20, 2),
        JOINT: (20, 1),
    }
    assert all((0 <= ranks).all() and (ranks <= 9).all() for ranks in deep.ranks.values())
    assert "90 %" in repr(deep)


def test_discrete_latents_are_refused():
    class Discrete(type(exact().inference)):
        is_reparameterized = False

    q = exact().inference
    discrete = elbax.Model(exact().generative, Discrete(q.weight, q.bias, q.log_scale))
    with pytest.raises(elbax.InputError, match="continuous latents for calibration"):
        elbax.calibration(discrete, key=jax.random.key(0))
