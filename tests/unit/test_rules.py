"""The rules' coefficients on each bound, against the closed forms of the papers."""

import jax
import numpy as np
import pytest
import scipy.special

from elbax import bounds
from elbax._errors import InputError
from elbax.rules import RULES, STL, DReG, Reparameterized, rule_named

M, K, BETA = 2, 3, 0.3
T = M * K


@pytest.fixture(scope="module")
def log_w():
    return 2 * jax.random.normal(jax.random.key(61), (T, 4))


@pytest.fixture(scope="module")
def expected(log_w):
    """(bound, g, P of DReG) by name, from softmax in NumPy."""
    w = scipy.special.softmax(log_w, axis=0)
    groups = np.asarray(log_w).reshape(M, K, 4)
    w_mk = scipy.special.softmax(groups, axis=1).reshape(T, 4)
    constant = np.full((T, 4), 1 / T)
    return {
        "vae": (bounds.VAE(T), constant, constant),
        "iwae": (bounds.IWAE(T), w, w**2),
        "miwae": (bounds.MIWAE(M, K), w_mk / M, w_mk**2 / M),
        "ciwae": (
            bounds.CIWAE(T, BETA),
            BETA / T + (1 - BETA) * w,
            BETA / T + (1 - BETA) * w**2,
        ),
        "custom": (
            bounds.Custom(lambda v: jax.nn.logsumexp(v) - np.log(T), num_samples=T),
            w,
            w**2,
        ),
    }


@pytest.mark.parametrize("name", ["vae", "iwae", "miwae", "ciwae", "custom"])
def test_coefficients_are_the_closed_forms(name, log_w, expected):
    bound, g, dreg = expected[name]
    for rule, pathwise, score in (
        (Reparameterized(), g, -g),
        (STL(), g, 0),
        (DReG(), dreg, 0),
    ):
        found = rule(bound, log_w)
        np.testing.assert_allclose(found.pathwise, pathwise, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.score, np.broadcast_to(score, (T, 4)), atol=1e-6)
        assert found.pathwise.shape == found.score.shape == (T, 4)


def test_every_rule_has_one_name():
    assert {name: type(rule) for name, rule in RULES.items()} == {
        "reparam": Reparameterized,
        "stl": STL,
        "dreg": DReG,
    }
    assert all(rule_named(name) is rule for name, rule in RULES.items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dreq", "unknown gradient rule 'dreq'; did you mean 'dreg'"),
        ("DReG", "did you mean 'dreg'"),
        ("reparameterized", "did you mean 'reparam'"),
        ("zzz", r"unknown gradient rule 'zzz'\. Known: reparam, stl, dreg\."),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_one(name, message):
    with pytest.raises(InputError, match=message):
        rule_named(name)
