"""What is learned beside the model: NVIL's baseline, beta; and numbers that follow a ramp."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.objectives import Needs
from elbax.training.adaptive import LearnedNumber, Moments, initial_adaptive
from elbax.training.fleet import compiled
from elbax.training.folder import newest_checkpoint

from .runs import binary_images, bits, build, model_bits, train

SBN = elbax.ModelConfig(hidden=(), latents=(3,), latent="bernoulli")
DISCRETE = (
    "iwae(k=4, gradient=vimco)",
    "iwae(k=4, gradient=nvil)",
    "iwae(k=4, gradient=score)",
    "rws(k=4, gradient=wake-sleep)",
)


# ------------------------------------------------------------------ fleets and files


@pytest.fixture(scope="module")
def fleet():
    compiled.cache_clear()
    return train(DISCRETE, model=SBN, epochs=12, learning_rate=0.05, fleet_map="sequential")


def test_every_rule_for_discrete_latents_raises_the_bound(fleet):
    for method in DISCRETE[:2] + DISCRETE[3:]:
        curve = [r["bound"] for r in fleet.metrics if elbax_method(r["run"]) == plain(method)]
        assert curve[-1] > curve[0] + 0.1, method


def elbax_method(run: str) -> str:
    return run.removesuffix("-seed0")


def plain(method: str) -> str:
    return method.replace("(", "-").replace(", ", "-").replace("=", "").replace(")", "")


def test_what_each_rule_needs_is_compiled_once(fleet):
    assert fleet.num_compilations == 3  # nothing more; a baseline; dreams


@pytest.mark.parametrize("index", [1, 3])
def test_a_member_with_needs_of_its_own_equals_the_run_alone_bit_for_bit(fleet, index):
    options = {"epochs": 12, "learning_rate": 0.05, "fleet_map": "sequential"}
    alone = train(DISCRETE[index], model=SBN, **options)
    assert model_bits(alone.models[0]) == model_bits(fleet.models[index])


def test_a_vmapped_fleet_of_different_needs_is_the_same_within_rounding(fleet):
    options = {"epochs": 12, "learning_rate": 0.05, "fleet_map": "vmap"}
    compiled.cache_clear()
    mapped = train(DISCRETE, model=SBN, **options)
    assert mapped.num_compilations == 1
    for ours, theirs in zip(mapped.models, fleet.models, strict=True):
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


class Stopped(Exception):
    pass


LEARNING = ("iwae(k=4, gradient=nvil)", "ciwae(k=4, beta=0.2, learn=noise)")


def test_what_is_learned_resumes_bit_for_bit(tmp_path):
    options = {"epochs": 4, "checkpoint_seconds": 0.0, "fleet_map": "sequential"}

    def stop(progress):
        if progress.epoch == 2:
            raise Stopped

    train(LEARNING, directory=tmp_path / "whole", **options)
    with pytest.raises(Stopped):
        train(LEARNING, directory=tmp_path / "cut", progress=stop, **options)
    train(LEARNING, directory=tmp_path / "cut", resume=True, **options)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert newest_checkpoint(whole).read_bytes() == newest_checkpoint(cut).read_bytes()
    assert (whole / "metrics.jsonl").read_bytes() == (cut / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("method", ["iwae(k=4)", "piwae(m=2, k=2, gradient=dreg)"])
def test_discrete_latents_refuse_a_path_before_anything_is_trained(method, tmp_path):
    with pytest.raises(InputError, match="discrete latents; choose gradient=vimco"):
        train(method, model=SBN, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------ courses


def test_ramps_are_followed_and_told():
    methods = ("renyi(k=4, alpha=1:0:2)", "iwae(k=4, warmup=2)", "iwae(k=4)")
    result = train(methods, epochs=4)
    records = {name: [] for name in ("renyi", "iwae-k4-warmup", "iwae-k4-seed")}
    for record in result.metrics:
        records[next(n for n in records if record["run"].startswith(n))].append(record)
    last = np.array([4, 9, 14, 19]) / 5  # epochs done before the last step of each epoch
    expected = np.clip(1 - last / 2, 0, 1)
    np.testing.assert_allclose([r["alpha"] for r in records["renyi"]], expected, atol=1e-6)
    weights = [r["kl_weight"] for r in records["iwae-k4-warmup"]]
    np.testing.assert_allclose(weights, 1 - expected, atol=1e-6)
    for name in ("renyi", "iwae-k4-warmup"):
        first, *_, final = records[name]
        assert abs(first["annealed_bound"] - first["bound"]) > 1e-3
        np.testing.assert_allclose(final["annealed_bound"], final["bound"], rtol=1e-5)
    assert "annealed_bound" not in records["iwae-k4-seed"][0]
    # A Renyi bound with alpha > 0 lies below the IWAE bound that it goes to; without its KL term
    # the climbed number lies above.
    assert records["renyi"][0]["annealed_bound"] < records["renyi"][0]["bound"]
    assert records["iwae-k4-warmup"][0]["annealed_bound"] > records["iwae-k4-warmup"][0]["bound"]


def test_a_changing_objective_is_taken_at_an_epoch():
    objective = elbax.ciwae(4, elbax.Ramp(1.0, 0.0, epochs=10))
    model, x = elbax.linear_gaussian(3, 2, key=jax.random.key(0)), jnp.zeros((2, 3))
    with pytest.raises(InputError, match="changes while training"):
        elbax.value_and_grad(objective)(model, x, key=jax.random.key(1))
    value = objective.at(10).channels(jnp.arange(8.0).reshape(4, 2)).value
    iwae = elbax.iwae(4).channels(jnp.arange(8.0).reshape(4, 2)).value
    np.testing.assert_allclose(value, iwae, rtol=1e-6)


def test_the_value_under_a_kl_weight_is_the_bound_itself():
    model, x = elbax.linear_gaussian(3, 2, key=jax.random.key(0)), jnp.ones((2, 3))
    warm = elbax.Objective(elbax.bounds.IWAE(4), elbax.bounds.IWAE(4), kl_weight=0.25)
    (value, info), _ = elbax.value_and_grad(warm)(model, x, key=jax.random.key(1))
    (bound, _), _ = elbax.value_and_grad(elbax.iwae(4))(model, x, key=jax.random.key(1))
    assert value == bound
    assert (info.annealed_bound != info.bound).all()


# ------------------------------------------------------------------ beta


def test_beta_goes_where_its_rule_says_and_every_run_from_its_own_start():
    starts, ways = (0.2, 0.7), ("ascend", "descend")
    methods = [f"ciwae(k=4, beta={b}, learn={w})" for b, w in itertools.product(starts, ways)]
    result = train(methods, epochs=6)
    for method, start, way in zip(methods, (0.2, 0.2, 0.7, 0.7), ways * 2, strict=True):
        name = plain(method)
        path = [r["beta"] for r in result.metrics if elbax_method(r["run"]) == name]
        path = np.array([start, *path])
        assert (np.diff(path) * (1 if way == "descend" else -1) > 0).all()
        assert 0 < path.min() < path.max() < 1


def test_the_monitor_sees_the_objective_with_the_numbers_of_the_time():
    seen = []

    def monitor(look):
        seen.append(float(look.objective.generative.beta))
        return {}

    result = train("ciwae(k=4, beta=0.2, learn=descend)", epochs=3, monitor=monitor)
    assert seen == [record["beta"] for record in result.metrics]
    assert len(set(seen)) == 3


def moments_of(draws):
    """Running moments of `[N, 2, P]` draws of (g, d)."""

    def step(moments, draw):
        return moments.updated(draw[0], draw[1]), None

    zero, nothing = jnp.zeros(()), jnp.zeros(draws.shape[-1])
    return jax.lax.scan(step, Moments(zero, zero, nothing, nothing), draws)[0]


def test_the_noise_slope_is_the_derivative_of_the_noise():
    """g = a + beta d, a and d normal: the noise is a quotient of two quadratics in beta."""
    rng = np.random.default_rng(0)
    mean_a, mean_d, sd_a, sd_d, beta = rng.normal(size=50), rng.normal(size=50), 2.0, 1.0, 0.3

    def noise(beta):
        square = jnp.sum((mean_a + beta * mean_d) ** 2)
        return jnp.log((square + 50 * (sd_a**2 + beta**2 * sd_d**2)) / square)

    slopes = []
    for key in jax.random.split(jax.random.key(0), 200):
        first, second = jax.random.split(key)
        a = mean_a + sd_a * jax.random.normal(first, (400, 50))
        d = mean_d + sd_d * jax.random.normal(second, (400, 50))
        draws = jnp.stack([a + beta * d, d], axis=1)
        slopes.append(float(jax.jit(moments_of)(draws).slope(jnp.asarray(400.0))))
    error = np.std(slopes) / 200**0.5
    # A ratio of estimates: consistent, its bias well below its spread.
    assert abs(np.mean(slopes) - jax.grad(noise)(beta)) < 5 * error + 0.05 * np.std(slopes)
    assert abs(np.mean(slopes)) > 10 * error


def test_beta_comes_to_the_least_noise():
    """The same quotient has its least value inside (0, 1), and beta finds it from both sides."""
    mean_a, mean_d = jnp.ones(20), -0.2 * jnp.ones(20)
    sd_a, cross = 2.0, -3.0  # d is anticorrelated with a, so that some of it takes noise away

    def noise(beta):
        square = jnp.sum((mean_a + beta * mean_d) ** 2)
        return jnp.log((square + 20 * ((sd_a + beta * cross) ** 2 + beta**2)) / square)

    grid = jnp.linspace(0.01, 0.99, 99)
    best = float(grid[jnp.argmin(jax.vmap(noise)(grid))])
    assert 0.3 < best < 0.7

    def learn(start, key):
        objective = elbax.ciwae(4, start, learn="noise")
        needs = Needs(learns=True, noise=True)
        state = initial_adaptive(objective, needs, jnp.zeros(20), 1, key).learned

        def step(state, key):
            first, second = jax.random.split(key)
            noise = jax.random.normal(first, (20,))
            d = mean_d + cross * noise + jax.random.normal(second, (20,))
            g = mean_a + sd_a * noise + state.value * d
            state = state.observed(g, d)
            return state.moved(-state.noise_slope()), None

        state, _ = jax.lax.scan(step, state, jax.random.split(key, 8000))
        assert isinstance(state, LearnedNumber)
        return state.value

    for start in (0.1, 0.9):
        found = jax.jit(learn, static_argnums=0)(start, jax.random.key(1))
        assert abs(float(found) - best) < 0.05


# ------------------------------------------------------------------ NVIL


def test_the_baseline_learns_what_x_says_of_the_bound():
    objective = elbax.iwae(4, gradient="nvil")
    needs = Needs(baseline=True)
    baseline = initial_adaptive(objective, needs, (), 6, jax.random.key(0)).baseline
    images = jnp.asarray(binary_images(400))
    truth = -50 + 10 * images[:, 0] - 6 * images[:, 3]

    @eqx.filter_jit
    def step(baseline, key):
        rows = jax.random.choice(key, len(images), (20,))
        noise = jax.random.normal(key, (20,))
        return baseline.updated(images[rows], truth[rows] + noise, jnp.ones(20, bool))

    assert jnp.isinf(baseline.context(images).scale)  # nothing seen: the first step only looks
    for key in jax.random.split(jax.random.key(1), 1500):
        baseline = step(baseline, key)
    context = baseline.context(images)
    rest = truth - context.baseline
    assert jnp.std(rest) < 0.2 * jnp.std(truth)
    assert abs(jnp.mean(rest)) < 1
    assert 1 <= context.scale < 2


def test_the_first_step_of_nvil_moves_no_inference_parameter():
    _, fleet, _ = build("iwae(k=4, gradient=nvil)", model=SBN, epochs=2)
    before = fleet.model(0)
    before_bits = bits(eqx.filter(before.inference, eqx.is_array))
    generative_bits = bits(eqx.filter(before.generative, eqx.is_array))
    fleet.advance(1)
    assert bits(eqx.filter(fleet.model(0).inference, eqx.is_array)) == before_bits
    assert bits(eqx.filter(fleet.model(0).generative, eqx.is_array)) != generative_bits
    fleet.advance(1)
    assert bits(eqx.filter(fleet.model(0).inference, eqx.is_array)) != before_bits


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("learn", ["noise", "ascend"])
def test_a_number_is_learned_in_double_precision_too(learn):
    _, fleet, _ = build(f"ciwae(k=4, beta=0.25, learn={learn})", epochs=2)
    before = jax.tree.map(lambda leaf: leaf.dtype, fleet.states[0])
    fleet.advance(2)
    assert jax.tree.map(lambda leaf: leaf.dtype, fleet.states[0]) == before
    assert fleet.states[0].adaptive.learned.logit.dtype == np.float64
