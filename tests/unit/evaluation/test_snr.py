"""Signal-to-noise streamed against the same stored in float64 NumPy, and against closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.evaluation import snr as module
from elbax.evaluation.snr import gradient_draws, layers
from elbax.gradients import value_and_grad
from elbax.models._gaussian_toy import gaussian_toy

KEY, NUM = jax.random.key(3), 2048


@pytest.fixture(scope="module")
def toy():
    model, x = gaussian_toy(3, 40, key=jax.random.key(1), offset=0.3)
    return model, x[:5]


OBJECTIVES = {"iwae": elbax.iwae(8), "dreg": elbax.iwae(8, gradient="dreg"), "vae": elbax.vae(4)}


@pytest.fixture(scope="module")
def found(toy):
    return elbax.snr(OBJECTIVES, *toy, key=KEY, num_draws=NUM)


@pytest.fixture(scope="module")
def stored(toy):
    return {
        name: np.float64(gradient_draws(objective, *toy, key=KEY, num_draws=NUM))
        for name, objective in OBJECTIVES.items()
        if name != "vae"
    }


@pytest.mark.parametrize("name", ["iwae", "dreg"])
def test_streamed_in_float32_is_stored_in_float64(found, stored, name):
    draws, one = stored[name], found[name]
    assert one.num_draws == NUM
    mean, sd = draws.mean(0), draws.std(0, ddof=1)
    np.testing.assert_allclose(np.concatenate(list(one.mean.values())), mean, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(one.sd.values())), sd, rtol=1e-4)
    ratio = np.abs(mean) / sd
    np.testing.assert_allclose(one.snr["generative"].value, ratio[:3].mean(), rtol=1e-4)
    np.testing.assert_allclose(one.snr["inference"].value, ratio[3:].mean(), rtol=1e-4)
    np.testing.assert_allclose(one.snr["inference/b"].value, ratio[12:].mean(), rtol=1e-4)


def test_directed_ratio_is_that_of_the_late_draws_along_the_early_mean(found, stored):
    draws = stored["iwae"][:, :3]
    early, late = draws[: NUM // 2], draws[NUM // 2 :]
    unit = early.mean(0) / np.linalg.norm(early.mean(0))
    parallel = late @ unit
    orthogonal = np.sqrt((late**2).sum(1) - parallel**2)
    expected = np.mean(np.abs(parallel) / orthogonal)
    np.testing.assert_allclose(found["iwae"].dsnr["generative"].value, expected, rtol=1e-3)


def test_the_reference_is_itself_and_the_others_are_measured_against_it(found, stored):
    assert found["iwae"].cosine["inference"] == pytest.approx(1)
    assert found["iwae"].bias_z["inference"] == 0
    assert found["iwae"].variance["inference"] == 1
    a, b = (stored[name][:, 3:] for name in ("dreg", "iwae"))
    share = a.var(0, ddof=1).sum() / b.var(0, ddof=1).sum()
    np.testing.assert_allclose(found["dreg"].variance["inference"], share, rtol=1e-3)
    assert found["dreg"].bias_z["inference"] < 2  # unbiased
    assert found["vae"].bias_z["inference"] > 5  # another objective
    assert found["dreg"].bias_z["generative"] < 1e-3  # the same numbers


def test_objectives_of_equal_samples_share_their_draws(stored):
    np.testing.assert_allclose(stored["iwae"][:, :3], stored["dreg"][:, :3], rtol=1e-4, atol=1e-5)


def test_the_elbos_mean_gradient_and_noise_are_the_closed_forms():
    """d/dmu of the ELBO estimate is the mean of z - mu: mean A x + b - mu, variance v / (M B)."""
    model, x = gaussian_toy(3, 40, key=jax.random.key(1), offset=0.3)
    result = elbax.snr(elbax.vae(4), model, x[:5], key=KEY, num_draws=20_000)
    q, mu = model.inference, model.generative.mu
    mean = np.asarray(x[:5] @ q.A.T + q.b - mu).mean(0)
    sd = np.sqrt(2 / 3 / (4 * 5))
    error = sd / 20_000**0.5
    assert np.abs(result.mean["generative"] - mean).max() < 5 * error
    np.testing.assert_allclose(result.sd["generative"], sd, rtol=0.03)
    ratio = result.snr["generative"]
    assert abs(ratio.value - np.mean(np.abs(mean)) / sd) < 1.2 * (ratio.high - ratio.low)
    assert ratio.high - ratio.low < 0.05 * ratio.value


def test_closed_forms_of_the_toy(x64):
    model, x = gaussian_toy(3, 8, key=jax.random.key(0), offset=0.0)
    np.testing.assert_allclose(model.generative.mu, x.mean(0), rtol=1e-12)
    p = model.generative
    datum, z = x[0], jnp.array([0.3, -1.0, 2.0])
    posterior = p.posterior(datum)
    bayes = p.log_prob(datum, z) - p.log_marginal(datum)
    np.testing.assert_allclose(posterior.log_prob(z), bayes, rtol=1e-12)
    context = model.inference.encode(datum)
    np.testing.assert_allclose(context.loc, posterior.loc, rtol=1e-12)  # the optimum
    np.testing.assert_allclose(context.scale**2, 2 / 3, rtol=1e-12)


def test_noise_alone_stays_at_the_floor():
    """A decoder that no gradient reaches but by noise: the encoder of a model at its optimum."""
    model, x = gaussian_toy(2, 40, key=jax.random.key(1), offset=0.0)
    score = elbax.vae(8, gradient="score")
    result = elbax.snr(score, model, x[:1], key=KEY, num_draws=512)
    ratio = result.snr["inference"]
    assert ratio.floor == pytest.approx(np.sqrt(2 / np.pi / result.num_draws))
    assert not ratio.is_signal
    assert ratio.value < 3 * ratio.floor


def test_as_many_draws_as_asked_for_and_draw_i_is_the_same_in_all(toy, stored, monkeypatch):
    """81 draws are bins of 5 and 6, here in chunks of 3, some of them padded."""
    num_draws = 81
    monkeypatch.setattr(module, "_MOST_AT_ONCE", 4)
    result = elbax.snr(OBJECTIVES["iwae"], *toy, key=KEY, num_draws=num_draws)
    draws = stored["iwae"][:num_draws]
    assert result.num_draws == num_draws
    mean, sd = (np.concatenate(list(part.values())) for part in (result.mean, result.sd))
    np.testing.assert_allclose(mean, draws.mean(0), atol=1e-5)
    np.testing.assert_allclose(sd, draws.std(0, ddof=1), rtol=1e-4)
    # The direction is that of the whole bins of the first half.
    early, late = draws[: num_draws // 2, 3:], draws[num_draws // 2 :, 3:]
    w = late @ early.mean(0) / np.linalg.norm(early.mean(0))
    ratios = np.abs(w) / np.sqrt((late**2).sum(1) - w**2)
    found = result.dsnr["inference"].value  # a mean of bins that differ by one draw
    np.testing.assert_allclose(found, ratios.mean(), rtol=0.02)


def test_a_second_call_compiles_nothing_whatever_the_numbers(toy, monkeypatch):
    traced = []

    def counting(objective):
        traced.append(objective)
        return value_and_grad(objective)

    monkeypatch.setattr(module, "value_and_grad", counting)
    model, x = toy
    moved = eqx.tree_at(lambda m: m.generative.mu, model, replace_fn=lambda mu: mu + 1)

    def both(objective, model, x, seed):
        key = jax.random.key(seed)
        found = elbax.snr(objective, model, x, key=key, num_draws=48)
        return found, gradient_draws(objective, model, x, key=key, num_draws=8, parameters=[0])

    first, _ = both(elbax.ciwae(3, 0.5), model, x[:2], 0)
    once = len(traced)
    second, _ = both(elbax.ciwae(3, 0.25), moved, x[2:4], 1)
    assert len(traced) == once > 0
    assert first.snr["inference"].value != second.snr["inference"].value
    gradient_draws(elbax.ciwae(3, 0.1), model, x[:2], key=KEY, num_draws=8, parameters=[3])
    assert len(traced) == once


def test_one_objective_gives_one_result_and_layers_have_names(toy):
    result = elbax.snr(OBJECTIVES["iwae"], *toy, key=KEY, num_draws=32)
    assert set(result.snr) == {"generative", "inference", *layers(toy[0])}
    assert layers(toy[0]) == ["generative/mu", "inference/A", "inference/b"]


WRONG = {
    "no objective": (lambda m, x: elbax.snr({}, m, x, key=KEY), "at least one objective"),
    "few draws": (
        lambda m, x: elbax.snr(elbax.iwae(2), m, x, key=KEY, num_draws=8),
        "expected num_draws >= 32; got 8",
    ),
    "no such reference": (
        lambda m, x: elbax.snr(OBJECTIVES, m, x, key=KEY, reference="stl"),
        "expected the reference among .*; got 'stl'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_with_a_sentence(toy, name):
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call(*toy)


def test_the_constants_of_a_standardized_model_are_no_layer():
    config = elbax.ModelConfig(hidden=(3,), latents=2, likelihood="gaussian")
    names = layers(elbax.one_layer((4,), config, key=jax.random.key(0)))
    plain = elbax.ModelConfig(hidden=(3,), latents=2, likelihood="gaussian", standardize=False)
    assert len(names) == len(layers(elbax.one_layer((4,), plain, key=jax.random.key(0)))) == 6
