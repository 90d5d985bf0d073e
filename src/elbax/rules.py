"""Gradient rules: how a bound's derivatives (g, h) become weights on the channels of a gradient.

Three channels carry a gradient through a model; per sample i, with z_i held as each says:

* model `A_i`: d log p(x, z_i) / d theta at fixed z_i. Always g of the generative bound.
* pathwise `P_i`: (d log w_i / d z_i) (d z_i / d phi), every dependence on z kept.
* score `S_i`: d log q(z_i | x) / d phi at fixed z_i.

A rule gives P and S for the inference network; all coefficients are constants (no gradient).
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from elbax._errors import InputError, unknown
from elbax._types import LogWeights
from elbax.bounds import AbstractBound


class Coefficients(NamedTuple):
    """Weights `[T, B]` on the two channels of the inference network."""

    pathwise: LogWeights
    score: LogWeights


class AbstractRule(eqx.Module):
    """A gradient rule: `rule(bound, log_w [T, B]) -> Coefficients`."""

    @abc.abstractmethod
    def __call__(self, bound: AbstractBound, log_w: LogWeights) -> Coefficients:
        """The inference network's coefficients under `bound`."""


class Reparameterized(AbstractRule):
    """The plain gradient through the sample path: `P = g`, `S = -g`. Unbiased for every bound.

    References: Kingma & Welling 2014; Burda, Grosse & Salakhutdinov 2015, eq. 13.
    """

    def __call__(self, bound: AbstractBound, log_w: LogWeights) -> Coefficients:
        """`P = g`, `S = -g`."""
        g, _ = bound.derivatives(log_w)
        return Coefficients(pathwise=g, score=-g)


class STL(AbstractRule):
    """Sticking the landing: the score term left out, `P = g`, `S = 0`.

    Unbiased only where g is constant (the ELBO); for a tighter bound its bias is the
    reweighted wake-sleep update.

    References: Roeder, Wu & Duvenaud 2017, Sticking the landing, section 3.
    """

    def __call__(self, bound: AbstractBound, log_w: LogWeights) -> Coefficients:
        """`P = g`, `S = 0`."""
        g, _ = bound.derivatives(log_w)
        return Coefficients(pathwise=g, score=jnp.zeros_like(g))


class DReG(AbstractRule):
    """Doubly reparameterized gradient in its general form: `P = g - h`, `S = 0`.

    The score term, reparameterized a second time, turns g into g - h (for IWAE: w into w^2);
    unbiased for every twice differentiable bound, with far less variance for many samples.

    References: Tucker, Lawson, Gu & Maddison 2019, Doubly reparameterized gradient estimators,
    eq. 9 (IWAE) and appendix.
    """

    def __call__(self, bound: AbstractBound, log_w: LogWeights) -> Coefficients:
        """`P = g - h`, `S = 0`."""
        g, h = bound.derivatives(log_w)
        return Coefficients(pathwise=g - h, score=jnp.zeros_like(g))


RULES: dict[str, AbstractRule] = {"reparam": Reparameterized(), "stl": STL(), "dreg": DReG()}


def rule_named(name: str) -> AbstractRule:
    """The rule called `name`: reparam, stl or dreg.

    >>> rule_named("dreg")
    DReG()
    """
    if name not in RULES:
        raise InputError(unknown("gradient rule", name, RULES))
    return RULES[name]
