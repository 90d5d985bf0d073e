"""Objectives: their texts read back, wrong ones are refused, dead data weigh nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elbax
from elbax import bounds, objectives
from elbax._errors import InputError
from elbax.objectives import METHODS, Objective, describe, label, parse
from elbax.rules import RULES, AbstractRule, Coefficients, DReG, Reparameterized

counts = st.integers(1, 5000)
rules = st.sampled_from(list(RULES))
built = st.one_of(
    st.builds(objectives.vae, counts, gradient=rules),
    st.builds(objectives.iwae, counts, gradient=rules),
    st.builds(objectives.miwae, counts, counts, gradient=rules),
    st.builds(objectives.piwae, counts, counts, gradient=rules),
    st.builds(objectives.ciwae, counts, st.floats(0, 1), gradient=rules),
)


# ------------------------------------------------------------------ texts


@settings(deadline=None)
@given(objective=built)
def test_what_describe_writes_parse_reads(objective):
    text = describe(objective)
    read = parse(text)
    assert eqx.tree_equal(read, objective)
    assert describe(read) == text


@settings(deadline=None)
@given(objective=built)
def test_spaces_and_capitals_of_the_method_do_not_matter(objective):
    name, _, arguments = describe(objective).partition("(")
    spaced = f"  {name.upper()} ( " + arguments.replace(",", " ,  ").replace("=", " = ") + " "
    assert eqx.tree_equal(parse(spaced), objective)


DESCRIBED = {
    "vae(m=64)": objectives.vae(),
    "iwae(k=64)": objectives.iwae(),
    "miwae(m=8, k=8)": objectives.miwae(),
    "piwae(m=8, k=8)": objectives.piwae(),
    "ciwae(k=64, beta=0.5)": objectives.ciwae(),
    "miwae(m=4, k=16, gradient=dreg)": objectives.miwae(4, 16, gradient="dreg"),
    "piwae(m=4, k=16, gradient=stl)": objectives.piwae(4, 16, gradient="stl"),
    "iwae-vae(k=4, m=4)": Objective(bounds.IWAE(4), bounds.VAE(4)),
    "vae-iwae(m=4, k=4, gradient=dreg)": Objective(bounds.VAE(4), bounds.IWAE(4), DReG()),
}


@pytest.mark.parametrize("text", DESCRIBED)
def test_describe_writes(text):
    assert describe(DESCRIBED[text]) == text


@pytest.mark.parametrize("name", METHODS)
def test_a_bare_name_takes_the_defaults(name):
    assert eqx.tree_equal(parse(name), METHODS[name]())
    assert eqx.tree_equal(parse(f"{name}()"), METHODS[name]())
    assert parse(name).num_samples == 64  # equal budgets, as Rainforth et al. compare them


def test_arguments_may_come_in_any_order():
    assert eqx.tree_equal(parse("miwae(k=3, m=2)"), objectives.miwae(2, 3))
    assert eqx.tree_equal(
        parse("ciwae(gradient=stl,beta=1)"), objectives.ciwae(64, 1.0, gradient="stl")
    )


def test_an_own_rule_and_an_own_bound_are_named_too():
    class Halved(AbstractRule):
        def __call__(self, bound, log_w):
            g, _ = bound.derivatives(log_w)
            return Coefficients(g / 2, -g / 2)

    def tail(log_w):
        return jnp.max(log_w)

    assert describe(objectives.iwae(4, gradient=Halved())) == "iwae(k=4, gradient=halved)"
    own = bounds.Custom(tail, num_samples=4)
    assert describe(Objective(own, own)) == "custom(function=tail, t=4)"


LABELS = {
    "vae": "VAE",
    "iwae(k=64)": "IWAE(64)",
    "miwae(m=4, k=16)": "MIWAE(4,16)",
    "piwae(m=8, k=8, gradient=dreg)": "PIWAE(8,8) dreg",
    "ciwae(k=64, beta=0.05)": "CIWAE(64,0.05)",
    "iwae(k=5, gradient=reparam)": "IWAE(5)",
    "iwae(gradient=stl)": "IWAE stl",
}


@pytest.mark.parametrize("text", LABELS)
def test_labels_are_short(text):
    assert label(text) == LABELS[text]


@settings(deadline=None)
@given(first=built, second=built)
def test_different_objectives_have_different_labels(first, second):
    first, second = describe(first), describe(second)
    assert (label(first) == label(second)) == (first == second)


# ------------------------------------------------------------------ wrong ones

WRONG = {
    "vaee": "unknown method 'vaee'; did you mean 'vae'",
    "wake-sleep": "unknown method 'wake-sleep'.* Known: vae, iwae, miwae, piwae, ciwae",
    "": "expected a method such as 'miwae",
    "iwae(k=4": r"expected a method such as .*; got 'iwae\(k=4'",
    "iwae k=4": "expected a method such as",
    "iwae(kk=4)": "unknown argument of iwae 'kk'; did you mean 'k'",
    "iwae(beta=0.5)": "unknown argument of iwae 'beta'. Known: k, gradient",
    "iwae(k=four)": "expected a whole number for k of iwae; got 'four'",
    "iwae(k=)": "expected a whole number for k of iwae; got ''",
    "iwae(k=True)": "expected a whole number for k of iwae; got 'True'",
    "iwae(k=__import__('os'))": "expected a whole number for k of iwae",
    "iwae(k=2.5)": "expected a whole number for k of iwae",
    "iwae(4, 5)": "unknown argument of iwae '5'",
    "miwae(k=4, 8)": "each argument of miwae once, in order",
    "miwae(8, m=4)": "each argument of miwae once",
    "vae(m=8, m=9)": "each argument of vae once",
    "iwae(k=2**9)": "expected a whole number for k of iwae",
    "iwae(k=0)": "expected k >= 1",
    "vae(m=-1)": "expected m >= 1",
    "piwae(m=-2, k=-2)": "expected m >= 1",
    "ciwae(beta=1.5)": r"expected beta in \[0, 1\] for CIWAE",
    "ciwae(beta=-0.1)": r"expected beta in \[0, 1\] for CIWAE",
    "ciwae(beta=1e999)": r"expected beta in \[0, 1\] for CIWAE",
    "ciwae(beta=nan)": r"expected beta in \[0, 1\]",
    "iwae(gradient=dreq)": "unknown gradient rule 'dreq'; did you mean 'dreg'",
    "iwae(gradient=)": "unknown gradient rule ''",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_texts_are_refused_with_a_sentence(text):
    with pytest.raises(InputError, match=WRONG[text]):
        parse(text)


def test_bounds_of_different_sample_counts_are_refused():
    message = r"use the same samples; got 4 for IWAE\(k=4\) and 6 for MIWAE\(m=2, k=3\)"
    with pytest.raises(InputError, match=message):
        Objective(bounds.IWAE(4), bounds.MIWAE(2, 3))


@pytest.mark.parametrize("build", METHODS.values(), ids=METHODS)
def test_builders_refuse_an_unknown_rule(build):
    with pytest.raises(InputError, match="unknown gradient rule 'dregg'; did you mean 'dreg'"):
        build(gradient="dregg")


# ------------------------------------------------------------------ channels


def log_weights():
    return 2 * jax.random.normal(jax.random.key(71), (4, 5))


def test_channels_are_the_bounds_and_the_rules():
    objective, log_w = objectives.piwae(2, 2, gradient="dreg"), log_weights()
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


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", BAD)
def test_a_datum_without_a_finite_bound_weighs_nothing(bad, rule):
    objective, log_w = objectives.piwae(2, 2, gradient=rule), log_weights()
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
    assert objectives.iwae(4).channels(log_w).finite.all()
    assert objectives.piwae(2, 2).channels(log_w).finite.all()
    assert objectives.vae(4).channels(log_w).finite.tolist() == [True, True, False, True, True]


def test_the_defaults_are_the_plain_gradient():
    assert elbax.Objective(bounds.VAE(2), bounds.VAE(2)).gradient == Reparameterized()
    assert Objective(bounds.VAE(2), bounds.VAE(2), "dreg").gradient == DReG()
