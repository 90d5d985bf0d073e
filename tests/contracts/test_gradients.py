"""Every (bound, rule, model): the routed gradient against autodiff of another form of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax import _log_weights as waist
from elbax import bounds
from elbax.rules import rule_named
from tests.models import DISCRETE, MODELS, binary_data

T = 4
PAIRS = {
    "vae": elbax.vae(T),
    "iwae": elbax.iwae(T),
    "miwae": elbax.miwae(2, 2),
    "piwae": elbax.piwae(2, 2),
    "few": elbax.piwae(2, 2, decoder_k=2),
    "ciwae": elbax.ciwae(T, 0.3),
    "iwae+vae": elbax.Objective(bounds.IWAE(T), bounds.VAE(T)),
    "custom": elbax.Objective(
        *[bounds.Custom(lambda v: 2 * (jax.nn.logsumexp(v / 2) - jnp.log(T)), num_samples=T)] * 2
    ),
}
RULES = ("reparam", "stl", "dreg")


def _is_float(leaf):
    return eqx.is_inexact_array(leaf)


def to_float64(model):
    return jax.tree.map(lambda a: a.astype(jnp.float64) if _is_float(a) else a, model)


def two_pass_gradient(objective, rule, model, x, key):
    """The same gradient by two separate surrogates and plain autodiff, nothing shared."""
    keys = jax.random.split(key, (objective.num_samples, x.shape[0]))

    def log_w_of(generative, sampler, density):
        z = waist.draw(sampler, waist.encode(sampler, x), keys)
        log_q = waist.log_posterior(density, waist.encode(density, x), z)
        return waist.log_joint(generative, x, z) - log_q

    def generative_value(generative):
        log_w = log_w_of(generative, model.inference, model.inference)
        return jnp.mean(objective.generative(log_w))

    arrays, rest = eqx.partition(model.inference, eqx.is_array)
    frozen = eqx.combine(jax.lax.stop_gradient(arrays), rest)

    def inference_value(inference):
        if rule == "reparam":
            log_w = log_w_of(model.generative, inference, inference)
            return jnp.mean(objective.inference(log_w))
        # STL and DReG: the density's parameters are constants, its argument is not.
        if not rule_named(rule).needs_path:  # the score of fixed samples
            z = jax.lax.stop_gradient(
                waist.draw(model.inference, waist.encode(model.inference, x), keys)
            )
            log_q = waist.log_posterior(inference, waist.encode(inference, x), z)
            log_w = jax.lax.stop_gradient(log_w_of(model.generative, frozen, frozen))
            _, score = rule_named(rule)(objective.inference, log_w)
            return jnp.mean(jnp.sum(score * log_q, axis=0))
        log_w = log_w_of(model.generative, inference, frozen)
        g, h = _derivatives_by_hessian(objective.inference, jax.lax.stop_gradient(log_w))
        return jnp.mean(jnp.sum((g if rule == "stl" else g - h) * log_w, axis=0))

    return (
        eqx.filter_grad(generative_value)(model.generative),
        eqx.filter_grad(inference_value)(model.inference),
    )


def _derivatives_by_hessian(bound, log_w):
    def one(column):
        return bound(column[:, None])[0]

    g = jax.vmap(jax.grad(one), 1, 1)(log_w)
    h = jax.vmap(lambda c: jnp.diagonal(jax.hessian(one)(c)), 1, 1)(log_w)
    return g, h


def _largest_relative_error(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(jnp.abs(u - v).max() / jnp.abs(v).max()) for u, v in pairs if v.any())


@eqx.filter_jit
def both_ways(objective, rule, model, x, key):
    """Ours, the two-pass form, and the log-weights they share, compiled once."""
    return (
        elbax.value_and_grad(objective)(model, x, key=key),
        two_pass_gradient(objective, rule, model, x, key),
        waist.log_weights_of(model, x, jax.random.split(key, (T, x.shape[0]))),
    )


# Every pair and every rule with a path on the hardest model, and every model under the pair whose
# channels differ; coefficients are linear in the routing, and other tests look at them.
CASES = [
    *((pair, "dreg", "two-layer") for pair in PAIRS),
    *(("piwae", rule, "two-layer") for rule in RULES if rule != "dreg"),
    *(("piwae", "dreg", model) for model in MODELS if model not in ("two-layer", *DISCRETE)),
    *(("piwae", "vimco", model) for model in (*DISCRETE, "hierarchical")),
]


@pytest.mark.parametrize(("pair", "rule", "model"), CASES)
def test_gradient_is_that_of_the_two_pass_form(pair, rule, model, x64, record_property):
    objective = eqx.tree_at(lambda o: o.gradient, PAIRS[pair], rule_named(rule))
    built, x, key = to_float64(MODELS[model]()), binary_data(), jax.random.key(5)
    ours, (generative, inference), log_w = both_ways(objective, rule, built, x, key)
    (value, info), gradients = ours
    error = max(
        _largest_relative_error(gradients.generative, generative),
        _largest_relative_error(gradients.inference, inference),
    )
    record_property("max_relative_error", error)
    assert error < 1e-12
    np.testing.assert_allclose(value, objective.generative(log_w).mean(), rtol=1e-14)
    np.testing.assert_allclose(info.inference_bound, objective.inference(log_w), rtol=1e-14)


def _count_products(jaxpr, width):
    """Matrix products in which an axis of the decoder's `width` takes part, loops included."""
    count = 0
    for equation in jaxpr.eqns:
        shapes = [v.aval.shape for v in (*equation.invars, *equation.outvars)]
        if equation.primitive.name in ("dot_general", "elbax_product"):
            count += sum(width in shape for shape in shapes) >= 2
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, tuple | list) else (parameter,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    count += _count_products(inner, width)
    return count


@pytest.mark.parametrize("rule", [*RULES, "vimco"])
@pytest.mark.parametrize("pair", ["vae", "iwae", "miwae", "piwae", "ciwae"])
def test_one_forward_and_one_decoder_backward(pair, rule):
    """Each of the decoder's products runs once forward and twice back (weights, inputs).

    Without a path the product back to z is saved.
    """
    config = elbax.ModelConfig(hidden=(13,), latents=2)
    model = elbax.one_layer((4,), config, key=jax.random.key(1))
    objective = eqx.tree_at(lambda o: o.gradient, PAIRS[pair], rule_named(rule))
    step = elbax.value_and_grad(objective)
    jaxpr = jax.make_jaxpr(lambda m: step(m, binary_data(), key=jax.random.key(0))[1])(
        eqx.filter(model, eqx.is_array)
    )
    # 2 -> 13 and 13 -> 4: forward, weights, inputs each
    decoder_in, decoder_out = 3 if rule in RULES else 2, 3
    encoder = 2 + 2 * 3  # 4 -> 13: no gradient for x; 13 -> 2 twice (location, scale)
    assert _count_products(jaxpr.jaxpr, 13) == decoder_in + decoder_out + encoder


def test_no_gradient_is_lost_where_weights_underflow():
    """PIWAE: a group far below the others has A = 0 in float32 but P of order one."""

    def shifted(scale):
        model = elbax.linear_gaussian(4, 2, key=jax.random.key(2))
        return eqx.tree_at(lambda m: m.generative.log_scale, model, jnp.asarray(scale))

    model, x, key = shifted(-4.0), 3 * binary_data(), jax.random.key(0)
    objective = elbax.piwae(2, 2)
    ((_, info), gradients), same, _ = both_ways(objective, "reparam", model, x, key)
    assert (info.log_w.max(0) - info.log_w.min(0) > 1e3).any()
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert _largest_relative_error(gradients.inference, same[1]) < 1e-3


@pytest.mark.parametrize(
    ("model", "bad"), [("linear-gaussian", jnp.nan), ("gaussian-softplus", 1e38)]
)
@pytest.mark.parametrize("compiled", [True, False])
def test_a_dead_datum_is_reported_and_left_out(model, bad, compiled):
    """NaN in the data, or numbers that overflow on the way: the gradient is that of the others."""
    model, key = MODELS[model](), jax.random.key(0)
    broken, live = binary_data(3).at[1].set(bad), jnp.array([0, 2])
    keys = jax.random.split(key, (T, 3))[:, live]

    def mean_of_the_others(model):
        return jnp.mean(bounds.IWAE(T)(waist.log_weights_of(model, broken[live], keys)))

    expected, truth = eqx.filter_value_and_grad(mean_of_the_others)(model)
    step = elbax.value_and_grad(elbax.iwae(T))
    (value, info), gradients = (eqx.filter_jit(step) if compiled else step)(model, broken, key=key)
    assert info.finite.tolist() == [True, False, True]
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(truth), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "bfloat16"])
def test_data_of_every_dtype_have_the_same_gradient(dtype):
    """The first layer's included: integers must not stop the gradient of what multiplies them."""
    model, x, key = MODELS["bernoulli-exp"](), binary_data(), jax.random.key(0)
    step = jax.jit(elbax.value_and_grad(elbax.iwae(T)))
    expected, found = step(model, x, key=key), step(model, x.astype(dtype), key=key)
    assert found[1].inference.encoder.network.layers[0].weight.any()
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_dead_weights_leave_a_finite_gradient():
    class Dead(elbax.AbstractGenerative):
        inner: elbax.AbstractGenerative

        def log_prob(self, x, z):
            return jnp.where(x[0] > 0.5, -jnp.inf, self.inner.log_prob(x, z))

        def sample_prior(self, key):
            return self.inner.sample_prior(key)

        def mean(self, z):
            return self.inner.mean(z)

    plain = MODELS["linear-gaussian"]()
    model = elbax.Model(Dead(plain.generative), plain.inference)
    x = jnp.array([[0.0, 1, 0, 1], [1.0, 1, 0, 1]])
    key = jax.random.key(0)
    step = eqx.filter_jit(elbax.value_and_grad(elbax.piwae(2, 2)))
    (value, info), gradients = step(model, x, key=key)
    assert info.finite.tolist() == [True, False]
    assert jnp.isfinite(value)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    (value, _), gradients = step(model, x[1:], key=key)
    assert jnp.isnan(value)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradients))


EXTREME_RULES = {"bernoulli": ("vimco", "score", "wake"), "normal": ("reparam", "dreg", "vimco")}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("latent", EXTREME_RULES)
def test_values_and_gradients_are_finite_at_extreme_parameters(latent, precision):
    """Logits of +-100 for data and latents, scales of 1e-6: nothing overflows."""
    with jax.enable_x64(precision == "float64"):
        config = elbax.ModelConfig(hidden=(), latents=(3,), latent=latent)
        model = elbax.hierarchical((4,), config, key=jax.random.key(0))
        extreme = jnp.array([100.0, -100.0, 100.0])
        if latent == "bernoulli":
            where = lambda m: [m.inference.encoders[0].logits.bias, m.generative.prior.logits]  # noqa: E731
            new = [extreme, -extreme]
        else:
            where = lambda m: [m.inference.encoders[0].scale.bias]  # noqa: E731
            new = [jnp.full(3, -200.0)]  # the floor of 1e-6 is all that is left
        model = eqx.tree_at(where, model, new)
        output = jnp.array([100.0, -100.0, 100.0, -100.0])
        model = eqx.tree_at(lambda m: m.generative.decoders[0].logits.bias, model, output)
        model = jax.tree.map(lambda a: a.astype(precision), model)
        x = jnp.asarray([[0, 1, 1, 0], [1, 0, 1, 0]], precision)

        @eqx.filter_jit
        def run(model, objective):
            return elbax.value_and_grad(objective)(model, x, key=jax.random.key(1))

        for rule in EXTREME_RULES[latent]:
            (value, info), gradients = run(model, elbax.iwae(4, gradient=rule))
            assert bool(jnp.isfinite(value))
            assert bool(info.finite.all())
            leaves = jax.tree.leaves(gradients)
            assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
            assert {leaf.dtype.name for leaf in leaves} == {precision}


def test_other_numbers_are_of_the_same_program():
    """A beta that changes compiles nothing, and is heeded."""
    traced = []

    class Counted(bounds.CIWAE):
        def derivatives(self, log_w):
            traced.append(self)
            return super().derivatives(log_w)

    model, x, key = MODELS["linear-gaussian"](), binary_data(), jax.random.key(0)

    def value(beta):
        objective = elbax.Objective(Counted(T, beta), Counted(T, beta))
        return elbax.value_and_grad(objective)(model, x, key=key)[0][0]

    first = value(0.3)
    times = len(traced)
    assert times > 0
    assert value(0.7) < first
    assert len(traced) == times
