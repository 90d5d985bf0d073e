"""Objectives as texts, "piwae(m=8, k=8)": read, told, and as they stand on paper."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from elbax import bounds
from elbax._checks import check_real
from elbax._errors import InputError, unknown
from elbax._types import Scalar
from elbax.bounds import AbstractBound, Tempered
from elbax.courses import Learned, Number, Ramp
from elbax.methods import METHODS
from elbax.objectives import Objective
from elbax.rules import rule_text
from elbax.rules.names import plain


def parse(spec: str) -> Objective:
    """The objective that a text such as "piwae(m=8, k=8, gradient=dreg)" names.

    Omitted arguments take their defaults, and numbers may go by position: "miwae(8, 8)". A
    number may be a linear course over epochs, start:end:epochs: "ciwae(64, beta=1:0:50)"; the
    knots of tvo are separated likewise. Values are literals; nothing is evaluated.

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
    parameters = inspect.signature(METHODS[name]).parameters
    numbers = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    values: dict[str, Any] = {}
    for position, part in enumerate(filter(None, map(str.strip, arguments.split(",")))):
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals:  # by position: miwae(8, 8)
            key, text = (numbers[position] if position < len(numbers) else part), key
        if key not in parameters:
            raise InputError(unknown(f"argument of {name}", key, parameters))
        if key in values or (not equals and len(values) < position):
            raise InputError(f"expected each argument of {name} once, in order; got '{spec}'.")
        values[key] = _READERS.get(key, _number)(name, key, text)
    return METHODS[name](**values)


def _number(method: str, key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"expected a whole number for {key} of {method}; got '{text}'.") from None


def _course(method: str, key: str, text: str) -> float | Ramp:
    values = _floats(method, key, text, "a number, or start:end:epochs,")
    if len(values) not in (1, 3):
        raise InputError(
            f"expected a number, or start:end:epochs, for {key} of {method}; got '{text}'."
        )
    return values[0] if len(values) == 1 else Ramp(*values)


def _knots(method: str, key: str, text: str) -> tuple[float, ...]:
    return _floats(method, key, text, "numbers separated by colons")


def _epochs(method: str, key: str, text: str) -> float:
    (value, *rest) = _floats(method, key, text, "a number of epochs >= 0")
    if rest or not value >= 0:
        raise InputError(f"expected a number of epochs >= 0 for {key} of {method}; got '{text}'.")
    return value


def _floats(method: str, key: str, text: str, expected: str) -> tuple[float, ...]:
    try:
        values = tuple(map(float, text.split(":")))
    except ValueError:
        raise InputError(f"expected {expected} for {key} of {method}; got '{text}'.") from None
    return tuple(check_real(f"{key} of {method}", value) for value in values)


def _text(method: str, key: str, text: str) -> str:
    return text


_READERS: dict[str, Callable[[str, str, str], Any]] = {
    "beta": _course,
    "alpha": _course,
    "knots": _knots,
    "warmup": _epochs,
    "alpha_warmup": _epochs,
    "gradient": _text,
    "learn": _text,
}


_WAKE_SLEEP = ("wake", "sleep")  # rules that make of IWAE what is called reweighted wake-sleep


def describe(objective: Objective) -> str:
    """The text that names an objective; `parse` reads it back for every built-in method.

    >>> from elbax.methods import piwae
    >>> describe(piwae(m=2, k=4, gradient="dreg"))
    'piwae(m=2, k=4, gradient=dreg)'
    """
    generative, inference = objective.generative, objective.inference
    warmups = []
    if (epochs := _warmup_epochs(objective.kl_weight, 0, 1)) is not None:
        warmups.append(f"warmup={_plain(epochs)}")
    elif objective.kl_weight is not None:
        warmups.append(f"kl_weight={_plain(objective.kl_weight)}")
    if isinstance(generative, Tempered) and isinstance(inference, Tempered):
        if (epochs := _warmup_epochs(inference.alpha, 1, 0)) is not None:
            warmups.append(f"alpha_warmup={_plain(epochs)}")
            generative, inference = generative.bound, inference.bound
    name, arguments = _named(generative, inference)
    rule = rule_text(objective.gradient)
    if name == "iwae" and generative is objective.generative and rule.startswith(_WAKE_SLEEP):
        name = "rws"
    if rule != ("wake" if name == "rws" else "reparam"):
        arguments.append(f"gradient={rule}")
    return f"{name}({', '.join(arguments + warmups)})"


def is_described(objective: Objective, text: str) -> bool:
    """Whether a text says all of an objective: `parse` makes the same one of it.

    >>> from elbax.methods import iwae
    >>> is_described(iwae(k=4), "iwae(k=4)"), is_described(iwae(k=4), "mine")
    (True, False)
    """
    try:
        (leaves, structure), (read, same) = map(jax.tree.flatten, (objective, parse(text)))
    except InputError:
        return False
    # As the training program has them: 1 and 1.0 are the same beta.
    return structure == same and list(map(np.float32, leaves)) == list(map(np.float32, read))


def _named(generative: AbstractBound, inference: AbstractBound) -> tuple[str, list[str]]:
    if type(inference) is bounds.MIWAE:
        if type(generative) is bounds.IWAE:
            return "piwae", _arguments(inference)
        if type(generative) is bounds.First and type(generative.bound) is bounds.IWAE:
            return "piwae", [*_arguments(inference), f"decoder_k={generative.bound.k}"]
    if eqx.tree_equal(generative, inference):
        return type(inference).__name__.lower(), _arguments(inference)
    name = f"{type(generative).__name__}-{type(inference).__name__}".lower()
    return name, _arguments(generative) + _arguments(inference)


def _warmup_epochs(number: Number | None, start: int, end: int) -> Scalar | None:
    """The epochs of a ramp from `start` to `end`; None for anything else."""
    if isinstance(number, Ramp) and (number.start, number.end) == (start, end):
        return number.epochs
    return None


def _arguments(bound: AbstractBound) -> list[str]:
    values = {field.name: getattr(bound, field.name) for field in dataclasses.fields(bound)}
    learned = [f"learn={v.by}" for v in values.values() if isinstance(v, Learned)]
    return [f"{name}={_plain(value)}" for name, value in values.items()] + learned


def _plain(value: Any) -> str:
    if isinstance(value, Ramp):
        return ":".join(map(_plain, (value.start, value.end, value.epochs)))
    if isinstance(value, Learned):
        return _plain(value.start)
    if isinstance(value, tuple):
        return ":".join(map(_plain, value))
    return plain(getattr(value, "__name__", value))


def label(spec: str) -> str:
    """A method's short name for tables and figures, from a text as `describe` gives it.

    >>> label("miwae(m=8, k=8)"), label("ciwae(k=64, beta=0.5, gradient=dreg)")
    ('MIWAE(8,8)', 'CIWAE(64,0.5) dreg')
    """
    name = spec.partition("(")[0].strip()
    pieces = re.findall(r"(\w+)\s*=\s*([^,)\s]+)", spec)
    words = [
        value if key == "gradient" else f"{key.replace('_', '-')} {value}"
        for key, value in pieces
        if key in _SAID and value != "reparam"
    ]
    numbers = ",".join(value for key, value in pieces if key not in _SAID)
    head = f"{name.upper()}({numbers})" if numbers else name.upper()
    return " ".join([head, *words])


_SAID = (
    "decoder_k",
    "gradient",
    "learn",
    "warmup",
    "alpha_warmup",
    "kl_weight",
    "id",
)  # said in words, not numbers
