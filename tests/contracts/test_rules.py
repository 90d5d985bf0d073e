"""One table, every gradient rule: coefficients, refusals, finite numbers, exact expectations.

Expectations are exact: the latents are few bits, so that a sum over all tuples of samples takes
the place of draws, and autodiff of the summed bound gives the true gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import elbax
from elbax import bounds
from elbax._errors import InputError
from elbax.rules import (
    NVIL,
    OVIS,
    RULES,
    RWS,
    STL,
    VIMCO,
    AbstractRule,
    Coefficients,
    Context,
    DReG,
    GDReG,
    Reparameterized,
    RWSDReG,
    ScoreFunction,
    rule_named,
    rule_text,
)
from tests.enumeration import DISCRETE, discrete_model, every_latent, expectations
from tests.models import binary_data

M, K, BETA, GAMMA = 2, 3, 0.3, 0.4
T = M * K
CONTEXT = Context(kl_weight=0.7, baseline=jnp.array([1.0, -2.0, 0.5, 0.0]), scale=2.0)


# ------------------------------------------------------------------ coefficients


def _loops(function):
    """A function of one datum's weights, for each datum; NumPy in float64."""
    return lambda log_w: np.stack([function(np.asarray(c, float)) for c in log_w.T], axis=1)


def _softmax(values):
    shares = np.exp(values - values.max())
    return shares / shares.sum()


def _iwae(values):
    return values.max() + np.log(np.mean(np.exp(values - values.max())))


def _vimco(values, mean):
    replaced = []
    for i in range(len(values)):
        others = np.delete(values, i)
        value = _iwae(others) if mean == "arithmetic" else others.mean()
        replaced.append(_iwae(np.insert(others, i, value)))
    return _iwae(values) - np.array(replaced)


def _ovis(values):
    """Lievin et al. 2020, eq. 17, read from the paper."""
    w, b = _softmax(values), CONTEXT.kl_weight
    return -np.log(1 - w) - (1 - GAMMA) * b * w + GAMMA * np.log(1 - 1 / T)


B = CONTEXT.kl_weight
NONE = _loops(lambda v: 0 * v)
# rule -> (P, S) for IWAE in CONTEXT, in NumPy
TABLE = {
    "reparam": (_loops(_softmax), _loops(lambda v: -B * _softmax(v))),
    "stl": (_loops(_softmax), NONE),
    "dreg": (_loops(lambda v: _softmax(v) - B * (_softmax(v) - _softmax(v) ** 2)), NONE),
    "gdreg": (_loops(lambda v: _softmax(v) - B * (_softmax(v) - _softmax(v) ** 2)), NONE),
    "score": (NONE, _loops(lambda v: _iwae(v) - B * _softmax(v))),
    "vimco": (NONE, _loops(lambda v: _vimco(v, "arithmetic") - B * _softmax(v))),
    "vimco-centered": (NONE, _loops(lambda v: _vimco(v, "arithmetic") - B * (_softmax(v) - 1 / T))),
    "vimco-geometric": (NONE, _loops(lambda v: _vimco(v, "geometric") - B * _softmax(v))),
    "nvil": (
        NONE,
        lambda log_w: (_loops(lambda v: _iwae(v) - B * _softmax(v))(log_w) - CONTEXT.baseline) / 2,
    ),
    f"ovis:{GAMMA}": (NONE, _loops(_ovis)),
    "wake": (NONE, _loops(_softmax)),
    "sleep": (NONE, NONE),
    "wake-sleep": (NONE, _loops(lambda v: _softmax(v) / 2)),
    "wake-dreg": (_loops(lambda v: _softmax(v) - _softmax(v) ** 2), NONE),
}
EVERY = pytest.mark.parametrize("name", TABLE)


def test_the_table_has_every_rule():
    assert {name.partition(":")[0] for name in TABLE} == set(RULES)


@EVERY
def test_coefficients_are_those_of_the_loops(name, x64):
    log_w = 2 * jax.random.normal(jax.random.key(61), (T, 4))
    found = rule_named(name)(bounds.IWAE(T), log_w, CONTEXT)
    for ours, loops in zip(found, TABLE[name], strict=True):
        np.testing.assert_allclose(ours, loops(log_w), rtol=1e-11, atol=1e-12)


def test_dreg_has_the_closed_forms_of_the_papers(x64):
    log_w = 2 * jax.random.normal(jax.random.key(62), (T, 4))
    w = _loops(_softmax)(log_w)
    w_mk = np.concatenate([_loops(_softmax)(part) for part in np.split(np.asarray(log_w), M)])
    w_alpha = _loops(lambda v: _softmax(0.6 * v))(log_w)
    closed = {
        bounds.VAE(T): np.full((T, 4), 1 / T),
        bounds.IWAE(T): w**2,
        bounds.MIWAE(M, K): w_mk**2 / M,
        bounds.CIWAE(T, BETA): BETA / T + (1 - BETA) * w**2,
        bounds.Renyi(T, 0.4): 0.4 * w_alpha + 0.6 * w_alpha**2,
    }
    for bound, pathwise in closed.items():
        np.testing.assert_allclose(DReG()(bound, log_w).pathwise, pathwise, rtol=1e-12)


def test_vimco_of_iwae_is_the_closed_form(x64):
    log_w = 2 * jax.random.normal(jax.random.key(63), (T, 4))
    w = _loops(_softmax)(log_w)
    closed = np.log(1 - 1 / T) - np.log(1 - w) - w
    np.testing.assert_allclose(VIMCO()(bounds.IWAE(T), log_w).score, closed, rtol=1e-11)


@pytest.mark.parametrize("num_samples", [2, 10, 1000])
def test_equal_weights_teach_a_good_baseline_nothing(num_samples, x64):
    """No sample is better than another: with optimal control variates none moves the encoder."""
    equal, bound = jnp.full((num_samples, 1), -90.0), bounds.IWAE(num_samples)
    np.testing.assert_allclose(OVIS(1.0)(bound, equal).score, 0, atol=1e-12)
    for rule in (OVIS(0.0), VIMCO(centered=True)):
        assert np.abs(rule(bound, equal).score).max() < 0.8 / num_samples**2
    assert np.abs(VIMCO()(bound, equal).score + 1 / num_samples).max() < 1e-12


@pytest.mark.parametrize(
    ("bound", "level", "error"), [(bounds.IWAE(50), -1e4, 1e-5), (bounds.JVI(50), -90.0, 1e-4)]
)
def test_differences_of_bounds_keep_their_digits_in_float32(bound, level, error):
    log_w = np.float32(level) + np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    near = np.asarray(VIMCO()(bound, jnp.asarray(log_w)).score, np.float64)
    with jax.enable_x64(True):
        exact = np.asarray(VIMCO()(bound, jnp.asarray(log_w, jnp.float64)).score)
    assert np.abs(near - exact).max() < error * np.abs(exact).max()


@EVERY
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_coefficients_are_finite_where_one_weight_is_all(name, precision):
    """Equal weights, w = 1 in rounding, w = 1 exactly (the others -inf), 1e4 nats apart."""
    dead = -np.inf
    columns = [[0.0] * 4, [0.0, -90, -80, -85], [dead, 3.0, dead, dead], [1e4, -1e4, 0.0, 5.0]]
    with jax.enable_x64(precision == "float64"):
        log_w = jnp.array(columns, precision).T
        context = CONTEXT._replace(baseline=jnp.zeros(4, precision))
        found = [np.asarray(c) for c in rule_named(name)(bounds.IWAE(4), log_w, context)]
    for coefficients in found:
        assert np.isfinite(coefficients).all()
        assert coefficients.dtype == precision
    if name == "vimco":  # the bound less that of the others, nats exactly, where log(1 - w) is -inf
        np.testing.assert_allclose(found[1][1, 3], np.log(3 / 4), rtol=1e-2)
        np.testing.assert_allclose(found[1][0, 3], 1e4 - 5 + np.log(3 / 4) - B, rtol=1e-6)


@pytest.mark.parametrize("name", ["vimco", "vimco-geometric", "ovis", "wake", "dreg"])
def test_memory_is_linear_in_the_number_of_samples(name):
    """No array of the traced program has K in two of its axes, for closed-form bounds or not."""

    def widest(jaxpr):
        sizes = [int(np.prod(v.aval.shape)) for e in jaxpr.eqns for v in e.outvars]
        for equation in jaxpr.eqns:
            for value in equation.params.values():
                inner = getattr(value, "jaxpr", value)
                sizes += [widest(inner)] if hasattr(inner, "eqns") else []
        return max(sizes, default=0)

    k, rule = 37, rule_named(name)
    tried = [bounds.IWAE(k)] if name in ("ovis", "wake") else [bounds.IWAE(k), bounds.JVI(k)]
    for bound in tried:
        program = jax.make_jaxpr(lambda v, b=bound: rule(b, v))(jnp.zeros((k, 2)))
        assert widest(program.jaxpr) < k * k


# ------------------------------------------------------------------ exact expectations

BOUNDS = {
    "vae": bounds.VAE(2),
    "iwae": bounds.IWAE(2),
    "miwae": bounds.MIWAE(2, 1),
    "uiwae": bounds.UIWAE(1, 2, 2),
    "ciwae": bounds.CIWAE(2, BETA),
    "renyi": bounds.Renyi(2, 0.4),
    "jvi": bounds.JVI(2),
    "tvo": bounds.TVO(2, (0.0, 0.2)),
    "tempered": bounds.Tempered(bounds.CIWAE(2, BETA), 0.5),
}


class DependsOnItsOwnSample(AbstractRule):
    """A planted bias: the bound itself as every sample's baseline."""

    def __call__(self, bound, log_w, context=Context()):  # noqa: B008
        g, _ = bound.derivatives(log_w)
        return Coefficients(jnp.zeros_like(g), -context.kl_weight * g)


def own_baseline(bound, log_w):
    """A leave-one-out baseline of a user's own: the other sample's log-weight."""
    return log_w[::-1]


UNBIASED = {
    "score": ScoreFunction(),
    "score-centered": ScoreFunction(centered=True),
    "vimco": VIMCO(),
    "vimco-centered": VIMCO(centered=True),
    "vimco-geometric": VIMCO("geometric"),
    "nvil": NVIL(),
    "own": ScoreFunction(own_baseline),
}


@pytest.mark.parametrize(("kind", "kl_weight"), [("bernoulli", 0.4), ("categorical", 1.0)])
@pytest.mark.parametrize("bound", BOUNDS)
def test_score_function_rules_are_unbiased_by_enumeration(
    kind, bound, kl_weight, x64, record_property
):
    model, x, z = discrete_model(kind), binary_data(2), every_latent(kind)
    rules = [*UNBIASED.values(), DependsOnItsOwnSample()]
    truth, (*found, planted) = jax.jit(
        lambda model: expectations(model, x, z, BOUNDS[bound], kl_weight, rules)
    )(model)
    scale = np.abs(truth).max()
    errors = [float(np.abs(rule - truth).max() / scale) for rule in found]
    record_property("max_relative_error", max(errors))
    assert max(errors) < 1e-12
    assert np.abs(planted - truth).max() / scale > 1e-3


@pytest.mark.parametrize("kind", DISCRETE)
def test_ovis_is_off_by_its_share_of_the_wake_update(kind, x64):
    model, x, z = discrete_model(kind), binary_data(2), every_latent(kind)
    rules = [OVIS(0.0), OVIS(GAMMA), OVIS(1.0), RWS(), ScoreFunction()]
    truth, (none, some, all_of_it, wake, _) = jax.jit(
        lambda model: expectations(model, x, z, bounds.IWAE(2), 1.0, rules)
    )(model)
    # The generative network's part is the same in all of them.
    size = ravel_pytree(model.generative)[0].size
    update = wake.at[:size].set(0)
    assert np.abs(update).max() > 1e-2
    np.testing.assert_allclose(none, truth, atol=1e-12)
    np.testing.assert_allclose(some - truth, GAMMA * update, atol=1e-12)
    np.testing.assert_allclose(all_of_it - truth, update, atol=1e-12)


# ------------------------------------------------------------------ names and refusals


@EVERY
def test_what_names_a_rule_reads_back(name):
    rule = rule_named(name)
    assert rule_text(rule) == name
    assert rule_named(rule_text(rule)) == rule


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("reparam", Reparameterized()),
        ("stl", STL()),
        ("gdreg", GDReG()),
        ("ovis", OVIS(1.0)),
        ("ovis:0", OVIS(0.0)),
        ("vimco-centered", VIMCO(centered=True)),
        ("nvil-centered", NVIL(centered=True)),
        ("vimco-geometric-centered", VIMCO("geometric", centered=True)),
        ("wake-sleep:0.75", RWS(0.75, 0.25)),
        ("wake-dreg", RWSDReG()),
    ],
)
def test_names_and_numbers(rule, kind):
    assert rule_named(rule) == kind
    assert rule_named(rule_text(kind)) == kind


WRONG = {
    "dreq": "unknown gradient rule 'dreq'; did you mean 'dreg'",
    "DReG": "did you mean 'dreg'",
    "reparameterized": "did you mean 'reparam'",
    "zzz": r"unknown gradient rule 'zzz'\. Known: reparam, stl, dreg, gdreg, score, vimco,",
    "dreg-centered": "unknown gradient rule 'dreg-centered'",
    "dreg:2": "expected no number for gradient rule 'dreg'",
    "ovis:x": "expected a number after 'ovis:'; got 'x'",
    "ovis:1.5": r"expected gamma in \[0, 1\] for OVIS; got 1.5",
    "wake-sleep:1.5": "expected weights >= 0 of wake and sleep",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_is_refused_with_a_sentence(name):
    with pytest.raises(InputError, match=WRONG[name]):
        rule_named(name)


REFUSED = {
    "vimco of one": (lambda: elbax.iwae(1, gradient="vimco"), "draw at least 2 samples"),
    "ovis of one": (lambda: elbax.iwae(1, gradient="ovis"), "draw at least 2 samples"),
    "ovis of miwae": (lambda: elbax.miwae(2, 2, gradient="ovis"), "derived for IWAE"),
    "wake of the elbo": (lambda: elbax.vae(4, gradient="wake"), "IWAE's, MIWAE's or UIWAE's"),
    "wake of ciwae": (lambda: elbax.ciwae(4, gradient="wake-dreg"), "IWAE's, MIWAE's or UIWAE's"),
    "no wake, no sleep": (lambda: RWS(0.0, 0.0), "not both 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_compositions_that_are_not_right_are_refused_with_the_reason(name):
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("rule", [name for name in RULES if RULES[name].needs_path])
def test_discrete_latents_refuse_a_path(rule):
    model = elbax.hierarchical(
        (4,), elbax.ModelConfig(hidden=(), latents=(2,), latent="bernoulli"), key=jax.random.key(0)
    )
    step = elbax.value_and_grad(elbax.iwae(2, gradient=rule))
    with pytest.raises(InputError, match="discrete latents; choose gradient=vimco, nvil"):
        step(model, binary_data(), key=jax.random.key(0))
