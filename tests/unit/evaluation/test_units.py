"""Active units of one and of two layers, where the variances are plain algebra."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.evaluation.units import active_units, unit_variances
from elbax.models.hierarchical import hierarchical
from tests.models import MODELS, binary_data
from tests.unit.evaluation.test_posterior import model_with_means

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def x():
    """Columns of variance exactly one: `[2500, 5]`, more than two blocks."""
    columns = np.random.default_rng(42).normal(size=(2500, 5))
    columns = (columns - columns.mean(0)) / columns.std(0, ddof=1)
    return columns.astype(np.float32)


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.0, 0.0], 0),
        ([0.099, 0.0, 0.0, -0.099, 0.0], 0),
        ([0.101, -0.101, 0.099, 0.0, 1.0], 3),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 5),
    ],
)
def test_units_are_active_where_the_means_vary_by_more_than_a_hundredth(x, factors, expected):
    assert active_units(model_with_means(factors), x, key=KEY) == (expected,)
    # Where the means lie does not matter, only how they vary.
    assert active_units(model_with_means(factors, offset=30.0), x, key=KEY) == (expected,)


def test_another_threshold_may_be_asked_for(x):
    model = model_with_means([0.1, 0.2, 0.3, 0.4, 0.5])
    assert active_units(model, x, key=KEY, threshold=0.05) == (3,)


def linear_two_layers(weight1, weight2, scale1, scale2):
    """q(z1|x) = N(x W1, scale1^2), q(z2|z1) = N(z1 W2, scale2^2): E[z2|x] = x W1 W2."""
    config = elbax.ModelConfig(hidden=(), latents=(3, 2), hidden_above=())
    model = hierarchical((5,), config, key=jax.random.key(0))
    first, second = model.inference.encoders

    def head(old, weight, scale):
        where = lambda h: (h.loc.weight, h.scale.weight, h.scale.bias)  # noqa: E731
        flat, log = jnp.zeros_like(weight), jnp.full(weight.shape[1], np.log(scale))
        return eqx.tree_at(where, old, (weight, flat, log))

    heads = (head(first, weight1, scale1), head(second, weight2, scale2))
    return eqx.tree_at(lambda m: m.inference.encoders, model, heads)


def test_the_second_layer_is_fed_by_draws_and_their_noise_is_taken_off(x):
    rng = np.random.default_rng(1)
    weight1 = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32)
    weight2 = jnp.asarray([[0.5, 0.0], [0.2, 0.0], [0.0, 0.01]], jnp.float32)
    model = linear_two_layers(weight1, weight2, scale1=0.5, scale2=2.0)
    first, second = unit_variances(model, x, key=KEY)
    exact1 = (np.asarray(x, np.float64) @ np.asarray(weight1)).var(axis=0, ddof=1)
    exact2 = (np.asarray(x, np.float64) @ np.asarray(weight1 @ weight2)).var(axis=0, ddof=1)
    np.testing.assert_allclose(first, exact1, rtol=1e-4)
    # The mean of 64 draws has a variance of about 4 / 64 = 0.06: left in, every unit is active.
    # Its standard error here is sqrt(2 / 2500) x (variance + 0.06), and 5 of those are allowed.
    error = np.sqrt(2 / len(x)) * (0.06 + 2 * np.sqrt(0.06 * exact2))
    assert (np.abs(second - exact2) < 5 * error).all()
    assert active_units(model, x, key=KEY) == (3, 1)


@pytest.mark.parametrize("name", ["two-layer", "hierarchical", "sbn", "categorical"])
def test_every_model_of_layers_has_one_count_per_layer(name):
    model = jax.jit(MODELS[name])() if name == "two-layer" else MODELS[name]()
    shapes = [leaf.shape[0] for leaf in jax.tree.leaves(model.generative.sample_prior(KEY))]
    found = unit_variances(model, binary_data(6), key=KEY, num_samples=4)
    assert [layer.shape for layer in found] == [(size,) for size in shapes]


@pytest.mark.parametrize(("num_data", "num_samples"), [(1, 64), (5, 1)])
def test_one_datum_or_one_draw_has_no_variance(num_data, num_samples):
    x = np.zeros((num_data, 3), np.float32)
    with pytest.raises(InputError, match="expected at least two data and two samples"):
        unit_variances(model_with_means([1.0, 1.0, 1.0]), x, key=KEY, num_samples=num_samples)
