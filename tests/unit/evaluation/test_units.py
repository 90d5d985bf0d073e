"""Active units of one and of two layers, where the variances are plain algebra."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.evaluation.units import active_units, unit_variances
from elbax.models._hierarchical import hierarchical
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
    for wrong in (-1.0, float("nan")):
        with pytest.raises(InputError, match="expected a threshold >= 0"):
            active_units(model, x, key=KEY, threshold=wrong)


def linear_two_layers(weight1, weight2, scale1, scale2):
    """q(z1|x) = N(x W1, scale1^2), q(z2|z1) = N(z1 W2, scale2^2): E[z2|x] = x W1 W2."""
    config = elbax.ModelConfig(
        hidden=(), latents=(3, 2), likelihood="gaussian", scale="exp", standardize=False
    )
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
    (first, exact), (second, found) = unit_variances(model, x, key=KEY)
    exact1 = (np.asarray(x, np.float64) @ np.asarray(weight1)).var(axis=0, ddof=1)
    exact2 = (np.asarray(x, np.float64) @ np.asarray(weight1 @ weight2)).var(axis=0, ddof=1)
    np.testing.assert_allclose(first, exact1, rtol=1e-4)
    # The mean of 64 draws has a variance of about 4 / 64 = 0.06: left in, every unit is active.
    # Its standard error here is sqrt(2 / 2500) x (variance + 0.06), and 5 of those are allowed.
    error = np.sqrt(2 / len(x)) * (0.06 + 2 * np.sqrt(0.06 * exact2))
    assert (np.abs(second - exact2) < 5 * error).all()
    assert (exact == 0).all()
    # z2 given x has the variance of its scale and of z1's noise: 64 draws leave a 64th of it.
    noise = (4 + 0.25 * np.sum(np.asarray(weight2) ** 2, axis=0)) / 64
    expected = np.sqrt((4 * exact2 * noise + 2 * noise**2) / len(x))
    np.testing.assert_allclose(found, expected, rtol=0.1)
    assert active_units(model, x, key=KEY) == (3, 1)


RESTING = jnp.zeros((3, 2))


def test_too_few_data_to_tell_are_refused_and_more_samples_help(x):
    """Noise of 4 / 64 on 20 means: a variance that is 0 is found to be 0 +- 0.02."""
    model = linear_two_layers(jnp.eye(5, 3), RESTING, scale1=0.5, scale2=2.0)
    message = r"whether variances of layer 2 are above 0.01; units 0, 1 are known to \+-0.0\d+ only"
    with pytest.raises(InputError, match=message):
        active_units(model, x[:20], key=KEY)
    assert active_units(model, x[:20], key=KEY, num_samples=2000) == (3, 0)


def test_units_of_a_huge_scale_are_known_in_their_own_size(x):
    """A unit of scale 1e25: its square is beyond float32, its error is not 0 and not NaN."""
    model = linear_two_layers(jnp.eye(5, 3), RESTING, scale1=0.5, scale2=1e25)
    _, second = unit_variances(model, x[:50], key=KEY)
    assert np.isfinite(second.value).all()
    # Normal noise of variance 1e50 / 64 on 50 means.
    np.testing.assert_allclose(second.error, np.sqrt(2 / 49) * 1e50 / 64, rtol=0.5)
    with pytest.raises(InputError, match="units 0, 1 are known to"):
        active_units(model, x[:50], key=KEY)


def test_posterior_means_that_are_not_finite_name_layer_and_units(x):
    model = linear_two_layers(jnp.eye(5, 3), RESTING, scale1=0.5, scale2=1.0)
    where = lambda m: m.inference.encoders[1].loc.weight  # noqa: E731
    broken = eqx.tree_at(where, model, RESTING.at[0, 1].set(jnp.inf))
    with pytest.raises(InputError, match="finite posterior means in layer 2; unit 1 is NaN or inf"):
        active_units(broken, x[:50], key=KEY)


@pytest.mark.parametrize("name", ["two-layer", "hierarchical", "sbn", "categorical"])
def test_every_model_of_layers_has_one_count_per_layer(name):
    model = jax.jit(MODELS[name])() if name == "two-layer" else MODELS[name]()
    shapes = [leaf.shape[0] for leaf in jax.tree.leaves(model.generative.sample_prior(KEY))]
    found = unit_variances(model, binary_data(6), key=KEY, num_samples=4)
    assert [layer.value.shape for layer in found] == [(size,) for size in shapes]
    assert [layer.error.shape for layer in found] == [(size,) for size in shapes]


@pytest.mark.parametrize(("num_data", "num_samples"), [(1, 64), (5, 1)])
def test_one_datum_or_one_draw_has_no_variance(num_data, num_samples):
    x = np.zeros((num_data, 3), np.float32)
    with pytest.raises(InputError, match="expected at least two data and two samples"):
        unit_variances(model_with_means([1.0, 1.0, 1.0]), x, key=KEY, num_samples=num_samples)
