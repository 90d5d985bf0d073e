"""Objectives: a bound for the generative network, one for the inference network, and a rule.

Every method of this literature is such a composition: PIWAE pairs IWAE(m k) with MIWAE(m, k),
all others use one bound twice.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool

from elbax import bounds
from elbax._errors import InputError, unknown
from elbax._types import LogWeights, PerDatum
from elbax.bounds import AbstractBound
from elbax.rules import RULES, AbstractRule, rule_named


class Channels(NamedTuple):
    """What an objective makes of log-weights: values `[B]`, coefficients `[T, B]`, all constants.

    `finite` marks the data whose bounds are finite; the coefficients of the others are zero.
    """

    value: PerDatum
    inference_value: PerDatum
    model: LogWeights
    pathwise: LogWeights
    score: LogWeights
    finite: Bool[Array, " b"]


def _as_rule(rule: AbstractRule | str) -> AbstractRule:
    return rule_named(rule) if isinstance(rule, str) else rule


class Objective(eqx.Module):
    """What is maximized: `generative` for theta, `inference` for phi, by a gradient rule.

    Args:
        generative: bound whose gradient trains the generative network.
        inference: bound whose gradient trains the inference network; on the same samples, so
            both must use equally many.
        gradient: the inference network's gradient rule: "reparam", "stl", "dreg" or your own.

    >>> Objective(bounds.IWAE(4), bounds.MIWAE(2, 2), gradient="dreg").num_samples
    4
    """

    generative: AbstractBound
    inference: AbstractBound
    gradient: AbstractRule = eqx.field(converter=_as_rule, default="reparam")

    def __check_init__(self):
        if self.generative.num_samples != self.inference.num_samples:
            raise InputError(
                "expected both bounds of an objective to use the same samples; got "
                f"{self.generative.num_samples} for {self.generative} and "
                f"{self.inference.num_samples} for {self.inference}."
            )

    @property
    def num_samples(self) -> int:
        """Samples per datum, T."""
        return self.generative.num_samples

    def channels(self, log_w: LogWeights) -> Channels:
        """Values and coefficients for `log_w`; a datum with a non-finite bound gets zeros."""
        value, inference_value = self.generative(log_w), self.inference(log_w)
        finite = jnp.isfinite(value) & jnp.isfinite(inference_value)
        # A dead datum's weights are replaced before differentiating: 0 * NaN would be NaN.
        safe = jnp.where(finite, log_w, 0)
        model, _ = self.generative.derivatives(safe)
        pathwise, score = self.gradient(self.inference, safe)
        model, pathwise, score = (jnp.where(finite, c, 0) for c in (model, pathwise, score))
        return Channels(value, inference_value, model, pathwise, score, finite)


def vae(m: int = 64, *, gradient: AbstractRule | str = "reparam") -> Objective:
    """The ELBO with m samples per datum (Kingma & Welling 2014, eq. 7).

    >>> vae(m=8).generative
    VAE(m=8)
    """
    return _same(bounds.VAE(m), gradient)


def iwae(k: int = 64, *, gradient: AbstractRule | str = "reparam") -> Objective:
    """The importance-weighted bound with k samples (Burda et al. 2015, eq. 8).

    >>> iwae(k=8).num_samples
    8
    """
    return _same(bounds.IWAE(k), gradient)


def miwae(m: int = 8, k: int = 8, *, gradient: AbstractRule | str = "reparam") -> Objective:
    """The mean of m importance-weighted bounds of k samples (Rainforth et al. 2018, section 4).

    >>> miwae(m=4, k=16).num_samples
    64
    """
    return _same(bounds.MIWAE(m, k), gradient)


def piwae(m: int = 8, k: int = 8, *, gradient: AbstractRule | str = "reparam") -> Objective:
    """IWAE(m k) for the generative network, MIWAE(m, k) for the inference network.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4 (PIWAE).

    >>> piwae(m=4, k=16).inference
    MIWAE(m=4, k=16)
    """
    inference = bounds.MIWAE(m, k)
    return Objective(bounds.IWAE(m * k), inference, gradient)


def ciwae(k: int = 64, beta: float = 0.5, *, gradient: AbstractRule | str = "reparam") -> Objective:
    """Beta times the ELBO plus (1 - beta) times IWAE, same samples (Rainforth et al. 2018).

    >>> ciwae(k=8, beta=0.05).generative
    CIWAE(k=8, beta=0.05)
    """
    return _same(bounds.CIWAE(k, beta), gradient)


def _same(bound: AbstractBound, gradient: AbstractRule | str) -> Objective:
    return Objective(bound, bound, gradient)


METHODS: dict[str, Callable[..., Objective]] = {
    "vae": vae,
    "iwae": iwae,
    "miwae": miwae,
    "piwae": piwae,
    "ciwae": ciwae,
}


def parse(spec: str) -> Objective:
    """The objective that a text such as "piwae(m=8, k=8, gradient=dreg)" names.

    Omitted arguments take their defaults, and numbers may go by position: "miwae(8, 8)". Values
    are literals; nothing is evaluated.

    Raises:
        InputError: unknown method or argument, or a value out of range.

    >>> parse("ciwae(k=8, beta=0.5)").generative
    CIWAE(k=8, beta=0.5)
    """
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", spec)
    if match is None:
        raise InputError(f"expected a method such as 'miwae(m=8, k=8)'; got '{spec}'.")
    name, arguments = match[1].lower(), match[2] or ""
    if name not in METHODS:
        raise InputError(unknown("method", name, METHODS))
    known = list(inspect.signature(METHODS[name]).parameters)
    values = {}
    for position, part in enumerate(filter(None, map(str.strip, arguments.split(",")))):
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals:  # by position: miwae(8, 8)
            key, text = (known[position] if position < len(known) - 1 else part), key
        if key not in known:
            raise InputError(unknown(f"argument of {name}", key, known))
        if key in values or (not equals and len(values) < position):
            raise InputError(f"expected each argument of {name} once, in order; got '{spec}'.")
        values[key] = text if key == "gradient" else _number(name, key, text)
    return METHODS[name](**values)


def describe(objective: Objective) -> str:
    """The text that names an objective; `parse` reads it back for every built-in method.

    >>> describe(piwae(m=2, k=4, gradient="dreg"))
    'piwae(m=2, k=4, gradient=dreg)'
    """
    generative, inference = objective.generative, objective.inference
    if type(generative) is bounds.IWAE and type(inference) is bounds.MIWAE:
        name, arguments = "piwae", _arguments(inference)
    elif eqx.tree_equal(generative, inference):
        name, arguments = type(inference).__name__.lower(), _arguments(inference)
    else:
        name = f"{type(generative).__name__}-{type(inference).__name__}".lower()
        arguments = _arguments(generative) + _arguments(inference)
    rule = next((n for n, r in RULES.items() if r == objective.gradient), None)
    if rule != "reparam":
        arguments.append(f"gradient={rule or type(objective.gradient).__name__.lower()}")
    return f"{name}({', '.join(arguments)})"


def _arguments(bound: AbstractBound) -> list[str]:
    values = {field.name: getattr(bound, field.name) for field in dataclasses.fields(bound)}
    return [f"{name}={getattr(value, '__name__', value)}" for name, value in values.items()]


def _number(method: str, key: str, text: str) -> int | float:
    kind, what = (float, "a number") if key == "beta" else (int, "a whole number")
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"expected {what} for {key} of {method}; got '{text}'.") from None


def label(spec: str) -> str:
    """A method's short name for tables and figures, from a text as `describe` gives it.

    >>> label("miwae(m=8, k=8)"), label("ciwae(k=64, beta=0.5, gradient=dreg)")
    ('MIWAE(8,8)', 'CIWAE(64,0.5) dreg')
    """
    name = spec.partition("(")[0].strip()
    pieces = re.findall(r"(\w+)\s*=\s*([^,)\s]+)", spec)
    numbers = ",".join(value for key, value in pieces if key != "gradient")
    rule = "".join(f" {value}" for key, value in pieces if key == "gradient" and value != "reparam")
    return f"{name.upper()}({numbers}){rule}" if numbers else f"{name.upper()}{rule}"
