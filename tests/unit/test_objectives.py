"""Objectives: channels, dead data, numbers that change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax import bounds
from elbax._errors import ElbaxWarning, InputError
from elbax.objectives import Objective
from elbax.rules import RULES, DReG, Reparameterized
from tests.unit.training.runs import build


def test_bounds_of_different_sample_counts_are_refused():
    message = r"use the same samples; got 4 for IWAE\(k=4\) and 6 for MIWAE\(m=2, k=3\)"
    with pytest.raises(InputError, match=message):
        Objective(bounds.IWAE(4), bounds.MIWAE(2, 3))


def log_weights():
    return 2 * jax.random.normal(jax.random.key(71), (4, 5))


def test_channels_are_the_bounds_and_the_rules():
    objective, log_w = elbax.piwae(2, 2, gradient="dreg"), log_weights()
    found = objective.channels(log_w)
    iwae, miwae = bounds.IWAE(4), bounds.MIWAE(2, 2)
    expected = DReG()(miwae, log_w)
    np.testing.assert_array_equal(found.value, iwae(log_w))
    np.testing.assert_array_equal(found.inference_value, miwae(log_w))
    np.testing.assert_array_equal(found.model, iwae.derivatives(log_w)[0])
    np.testing.assert_array_equal(found.pathwise, expected.pathwise)
    np.testing.assert_array_equal(found.score, expected.score)
    assert found.finite.all()


BAD = {
    "no weight at all": [-jnp.inf] * 4,
    "one group without weight": [-jnp.inf, -jnp.inf, 0.0, 1.0],
    "a nan": [0.0, jnp.nan, 1.0, 2.0],
    "an infinite weight": [0.0, jnp.inf, 1.0, 2.0],
}


@pytest.mark.parametrize("rule", [name for name in RULES if name != "ovis"])
@pytest.mark.parametrize("bad", BAD)
def test_a_datum_without_a_finite_bound_weighs_nothing(bad, rule):
    objective, log_w = elbax.piwae(2, 2, gradient=rule), log_weights()
    found = objective.channels(log_w.at[:, 2].set(jnp.array(BAD[bad])))
    healthy = objective.channels(log_w)
    assert found.finite.tolist() == [True, True, False, True, True]
    assert not np.isfinite([found.value[2], found.inference_value[2]]).all()
    others = np.array([0, 1, 3, 4])
    for name in ("model", "pathwise", "score"):
        coefficients = getattr(found, name)
        np.testing.assert_array_equal(coefficients[:, 2], 0)
        np.testing.assert_array_equal(coefficients[:, others], getattr(healthy, name)[:, others])


def test_one_weight_of_zero_is_no_death_for_a_tight_bound():
    log_w = log_weights().at[0, 2].set(-jnp.inf)
    assert elbax.iwae(4).channels(log_w).finite.all()
    assert elbax.piwae(2, 2).channels(log_w).finite.all()
    assert elbax.vae(4).channels(log_w).finite.tolist() == [True, True, False, True, True]


def test_the_defaults_are_the_plain_gradient():
    assert elbax.Objective(bounds.VAE(2), bounds.VAE(2)).gradient == Reparameterized()
    assert Objective(bounds.VAE(2), bounds.VAE(2), "dreg").gradient == DReG()


def test_what_is_no_bound_says_so_before_it_is_trained():
    assert elbax.iwae(4).caveats == []
    (told,) = elbax.jvi(4).caveats
    assert "unbounded above" in told
    mixed = elbax.Objective(elbax.bounds.IWAE(4), elbax.bounds.Tempered(elbax.bounds.JVI(4), 0.5))
    assert mixed.caveats == [told]
    with pytest.warns(ElbaxWarning, match="unbounded above"):
        build("jvi(k=4)")
