"""What differs in what it does has another fingerprint; what does the same has the same."""

import functools
import itertools
import math
import textwrap
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax import bounds
from elbax._identity import fingerprint


def made(source: str, **names):
    """What a source text defines as `it`, in a module of its own."""
    names |= {"jax": jax, "jnp": jnp, "np": np, "eqx": eqx, "elbax": elbax, "bounds": bounds}
    names |= {"functools": functools, "__name__": "own"}
    exec(textwrap.dedent(source), names)
    return names["it"]


CLASS = """
    class Own(bounds.AbstractBound):
        scale: float
        order: int = eqx.field(static=True, default=1)

        @property
        def num_samples(self):
            return 4

        def __call__(self, log_w):
            return self.scale * jnp.mean(log_w, axis=0)

    it = Own(2.0)
"""
FUNCTION = "it = lambda w: SCALE * jnp.mean(w)"
CLOSURE = """
    def make(a):
        return lambda w: a * jnp.mean(w)
    it = make(2.0)
"""
NESTED = """
    def it(w, power=1):
        def inner(v):
            return jnp.exp(v / 3)
        return inner(w) ** power
"""
DERIVATIVE = """
    @jax.custom_jvp
    def it(x):
        return x

    it.defjvp(lambda primals, tangents: (primals[0], 2.0 * tangents[0]))
"""
# Each with changes that make it another thing.
CHANGES = {
    "class": (CLASS, [("2.0", "3.0"), ("default=1", "default=2"), ("mean", "max"), ("Own", "B")]),
    "closure": (CLOSURE, [("2.0", "3.0"), ("a * ", "a + "), ("mean", "max")]),
    "nested": (NESTED, [("/ 3", "/ 4"), ("power=1", "power=2"), ("exp", "log")]),
    "derivative": (DERIVATIVE, [("2.0", "3.0"), ("return x", "return 2 * x")]),
    "jit": ("it = jax.jit(lambda w: 2 * w)", [("2", "3")]),
    "partial": ("it = functools.partial(jnp.mean, axis=0)", [("=0", "=1"), ("mean", "max")]),
    "library": ("it = jnp.mean", [("mean", "max"), ("jnp.mean", "np.mean")]),
    "array": ("it = np.arange(3)", [("3", "4"), ("(3)", "(3) * 1.0"), ("np.", "jnp.")]),
    "collections": ("it = [1, {'a': (2, {3})}]", [("1", "1.0"), ("2", "4"), ("{3}", "{4}")]),
    "key": ("it = jax.random.key(0)", [("key(0)", "key(1)")]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_what_it_does_changes_it(name):
    source, changes = CHANGES[name]
    sources = [source, *(source.replace(*change) for change in changes)]
    prints = [fingerprint(made(text)) for text in sources]
    assert len(set(prints)) == len(sources)
    assert prints == [fingerprint(made(text)) for text in sources]


def test_a_global_that_a_function_names_is_part_of_it():
    prints = [fingerprint(made(FUNCTION, SCALE=scale)) for scale in (2.0, 2.0, 3.0)]
    assert prints[0] == prints[1] != prints[2]


def test_names_of_variables_and_places_are_not_part_of_it():
    moved = "\n\n" + textwrap.dedent(NESTED).replace("(v)", "(u)").replace("v / 3", "u / 3")
    assert fingerprint(made(moved)) == fingerprint(made(NESTED))


def test_objectives_that_differ_in_a_lambda_alone_differ():
    def objective(function):
        return elbax.Objective(*[bounds.Custom(function, num_samples=4)] * 2)

    functions = [jnp.max, jnp.mean, lambda w: w[0], lambda w: w[1], math.fsum]
    prints = [fingerprint(objective(function)) for function in functions]
    assert all(one != other for one, other in itertools.combinations(prints, 2))


def test_what_leads_back_to_itself_ends():
    source = "def it(n):\n    return n and it(n - 1)"
    assert fingerprint(made(source)) == fingerprint(made(source))


def test_what_cannot_be_told_is_refused_unless_it_is_named():
    thing = types.SimpleNamespace(value=1)
    with pytest.raises(elbax.InputError, match=r"type SimpleNamespace from others .* Name it: "):
        fingerprint(made(FUNCTION, SCALE=thing))
    thing.identity = "mine"
    named = fingerprint(made(FUNCTION, SCALE=thing))
    thing.identity = "another"
    assert fingerprint(made(FUNCTION, SCALE=thing)) != named
