"""Methods: their texts read back, and wrong ones are refused."""

import equinox as eqx
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elbax
from elbax import bounds
from elbax._errors import InputError
from elbax.courses import Ramp
from elbax.methods import METHODS
from elbax.objectives import Objective
from elbax.rules import RULES, AbstractRule, Coefficients, DReG
from elbax.spelling import describe, label, parse

# The shape checker looks at one element of a tuple by chance, which strategies should not draw.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

counts = st.integers(2, 5000)
any_bound = [name for name in RULES if not name.startswith(("wake", "ovis"))]
rules = st.sampled_from(any_bound)
of_iwae = st.sampled_from([*RULES, "ovis:0.25", "wake-sleep:0.8"])
shares = st.floats(0, 1, width=32, allow_subnormal=False)
epochs = st.one_of(st.integers(1, 500), st.floats(0.1, 500))
numbers = st.one_of(shares, st.builds(Ramp, shares, shares, epochs))
inner = st.floats(0.01, 0.99)
warm = {"warmup": st.one_of(st.just(0), epochs)}
both = warm | {"alpha_warmup": st.one_of(st.just(0), epochs)}
built = st.one_of(
    st.builds(elbax.vae, counts, gradient=rules, **warm),
    st.builds(elbax.iwae, counts, gradient=rules, **both),
    st.builds(elbax.iwae, counts, gradient=of_iwae, **warm),
    st.builds(elbax.rws, counts, gradient=of_iwae, **warm),
    st.builds(elbax.miwae, counts, counts, gradient=rules, **both),
    st.builds(elbax.piwae, counts, counts, gradient=rules, **both),
    st.builds(elbax.piwae, counts, counts, decoder_k=st.integers(1, 4), gradient=rules, **both),
    st.builds(elbax.uiwae, counts, counts, counts, gradient=rules, **both),
    st.builds(elbax.ciwae, counts, numbers, gradient=rules, **both),
    st.builds(elbax.ciwae, counts, inner, learn=st.sampled_from(["noise", "ascend", "descend"])),
    st.builds(elbax.renyi, counts, numbers, gradient=rules, **warm),
    st.builds(elbax.jvi, counts, gradient=rules, **warm),
    st.builds(elbax.tvo, counts, st.just((0.0, 0.1, 0.625)), gradient=rules, **warm),
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
    "vae(m=64)": elbax.vae(),
    "iwae(k=64)": elbax.iwae(),
    "miwae(m=8, k=8)": elbax.miwae(),
    "piwae(m=8, k=8)": elbax.piwae(),
    "piwae(m=2, k=4, decoder_k=4)": elbax.piwae(2, 4, decoder_k=4),
    "uiwae(m=8, k=8, permutations=20)": elbax.uiwae(),
    "uiwae(m=4, k=2, permutations=3, gradient=dreg)": elbax.uiwae(4, 2, 3, gradient="dreg"),
    "ciwae(k=64, beta=0.5)": elbax.ciwae(),
    "miwae(m=4, k=16, gradient=dreg)": elbax.miwae(4, 16, gradient="dreg"),
    "piwae(m=4, k=16, gradient=stl)": elbax.piwae(4, 16, gradient="stl"),
    "ciwae(k=64, beta=0.5, learn=noise)": elbax.ciwae(learn="noise"),
    "ciwae(k=64, beta=1:0:20)": elbax.ciwae(beta=Ramp(1.0, 0.0, 20)),
    "renyi(k=64, alpha=0.5)": elbax.renyi(),
    "tvo(k=8, knots=0:0.1)": elbax.tvo(8, (0.0, 0.1)),
    "jvi(k=8, gradient=vimco)": elbax.jvi(8, gradient="vimco"),
    "rws(k=64)": elbax.rws(),
    "rws(k=8, gradient=wake-sleep)": elbax.iwae(8, gradient="wake-sleep"),
    "iwae(k=8, warmup=10)": elbax.iwae(8, warmup=10),
    "piwae(m=2, k=4, gradient=dreg, alpha_warmup=5)": elbax.piwae(
        2, 4, gradient="dreg", alpha_warmup=5
    ),
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
    assert eqx.tree_equal(parse("miwae(k=3, m=2)"), elbax.miwae(2, 3))
    assert eqx.tree_equal(parse("ciwae(gradient=stl,beta=1)"), elbax.ciwae(64, 1.0, gradient="stl"))


def test_an_own_rule_and_an_own_bound_are_named_too():
    class Halved(AbstractRule):
        def __call__(self, bound, log_w, context):
            g, _ = bound.derivatives(log_w)
            return Coefficients(g / 2, -g / 2)

    def tail(log_w):
        return jnp.max(log_w)

    assert describe(elbax.iwae(4, gradient=Halved())) == "iwae(k=4, gradient=halved)"
    own = bounds.Custom(tail, num_samples=4)
    assert describe(Objective(own, own)) == "custom(function=tail, t=4)"


LABELS = {
    "vae": "VAE",
    "iwae(k=64)": "IWAE(64)",
    "miwae(m=4, k=16)": "MIWAE(4,16)",
    "piwae(m=8, k=8, gradient=dreg)": "PIWAE(8,8) dreg",
    "piwae(m=10, k=10, decoder_k=10)": "PIWAE(10,10) decoder-k 10",
    "ciwae(k=64, beta=0.05)": "CIWAE(64,0.05)",
    "iwae(k=5, gradient=reparam)": "IWAE(5)",
    "iwae(gradient=stl)": "IWAE stl",
    "ciwae(k=8, beta=0.5, learn=noise)": "CIWAE(8,0.5) learn noise",
    "renyi(k=8, alpha=1:0:50, gradient=dreg, warmup=10)": "RENYI(8,1:0:50) dreg warmup 10",
    "rws(k=8, gradient=wake-sleep:0.8)": "RWS(8) wake-sleep:0.8",
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
    "wake-sleep": "unknown method 'wake-sleep'.* Known: vae, iwae, miwae, piwae, ciwae, renyi",
    "": "expected a method such as 'miwae",
    "iwae(k=4": r"expected a method such as .*; got 'iwae\(k=4'",
    "iwae k=4": "expected a method such as",
    "iwae(kk=4)": "unknown argument of iwae 'kk'; did you mean 'k'",
    "iwae(beta=0.5)": "unknown argument of iwae 'beta'. Known: k, gradient, warmup",
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
    "piwae(2, 3, decoder_k=7)": r"decoder_k from 1 to the 6 samples of piwae\(m=2, k=3\); got 7",
    "piwae(decoder_k=0)": "expected decoder_k from 1 to the 64 samples",
    "ciwae(beta=1.5)": r"expected beta in \[0, 1\] for CIWAE",
    "ciwae(beta=-0.1)": r"expected beta in \[0, 1\] for CIWAE",
    "ciwae(beta=1e999)": "a number that float32 can hold",
    "ciwae(beta=nan)": "a number that float32 can hold",
    "ciwae(beta=1:0)": "expected a number, or start:end:epochs, for beta of ciwae; got '1:0'",
    "ciwae(beta=1:2:5)": r"expected beta in \[0, 1\] for CIWAE",
    "ciwae(beta=1:0:0)": "expected a ramp over more than 0 epochs",
    "ciwae(beta=0, learn=noise)": "start strictly between 0 and 1; got 0",
    "ciwae(beta=1:0:5, learn=noise)": "one number for a learned beta",
    "ciwae(learn=up)": "unknown way to learn 'up'",
    "renyi(alpha=2)": r"expected alpha in \[0, 1\]",
    "tvo(knots=0.5)": "expected knots 0 = b_0",
    "tvo(knots=0:x)": "expected numbers separated by colons for knots of tvo; got '0:x'",
    "jvi(k=1)": "expected k >= 2 for JVI",
    "iwae(warmup=-1)": "expected a number of epochs >= 0 for warmup of iwae; got '-1'",
    "iwae(warmup=nan)": "a number that float32 can hold",
    "vae(alpha_warmup=3)": "starts at the ELBO, which vae is",
    "iwae(k=1, gradient=vimco)": "draw at least 2 samples",
    "renyi(gradient=wake)": "does not go with Renyi",
    "iwae(gradient=dreq)": "unknown gradient rule 'dreq'; did you mean 'dreg'",
    "iwae(gradient=)": "unknown gradient rule ''",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_texts_are_refused_with_a_sentence(text):
    with pytest.raises(InputError, match=WRONG[text]):
        parse(text)


@pytest.mark.parametrize("build", METHODS.values(), ids=METHODS)
def test_builders_refuse_an_unknown_rule(build):
    with pytest.raises(InputError, match="unknown gradient rule 'dregg'; did you mean 'dreg'"):
        build(gradient="dregg")
