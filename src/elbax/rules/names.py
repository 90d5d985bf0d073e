"""The rules by name, as texts and command lines give them: "dreg", "ovis:0.5"."""

import dataclasses
from collections.abc import Callable

from elbax._checks import check_real
from elbax._errors import InputError, unknown
from elbax._types import Scalar
from elbax.rules.abstract import AbstractRule
from elbax.rules.path import STL, DReG, GDReG, Reparameterized
from elbax.rules.score import NVIL, OVIS, VIMCO, ScoreFunction
from elbax.rules.wake import RWS, RWSDReG

RULES: dict[str, AbstractRule] = {
    "reparam": Reparameterized(),
    "stl": STL(),
    "dreg": DReG(),
    "gdreg": GDReG(),
    "score": ScoreFunction(),
    "vimco": VIMCO(),
    "vimco-centered": VIMCO(centered=True),
    "vimco-geometric": VIMCO("geometric"),
    "nvil": NVIL(),
    "ovis": OVIS(),
    "wake": RWS(),
    "sleep": RWS(wake=0.0, sleep=1.0),
    "wake-sleep": RWS(wake=0.5, sleep=0.5),
    "wake-dreg": RWSDReG(),
}

_CENTERED = "-centered"

# Rules that take a number after a colon.
_NUMBERED: dict[str, Callable[[float], AbstractRule]] = {
    "ovis": OVIS,
    "wake-sleep": lambda wake: RWS(wake=wake, sleep=1 - wake),
}


def rule_named(text: str) -> AbstractRule:
    """The rule that a text names, such as "dreg", "ovis:0.5" or "wake-sleep:0.8".

    The number is OVIS's gamma, or the share of the wake-phase update. "-centered" after the name of
    a score rule centers it: "nvil-centered".

    >>> rule_named("dreg")
    DReG()
    >>> rule_named("ovis:0.5")
    OVIS(gamma=0.5)
    """
    name, colon, number = text.partition(":")
    plain = name.removesuffix(_CENTERED)
    if name not in RULES and plain in RULES and hasattr(RULES[plain], "centered") and not colon:
        return dataclasses.replace(RULES[plain], centered=True)  # type: ignore[call-arg]
    if name not in RULES:
        raise InputError(unknown("gradient rule", name, RULES))
    if not colon:
        return RULES[name]
    if name not in _NUMBERED:
        raise InputError(f"expected no number for gradient rule '{name}'; got '{text}'.")
    try:
        value = float(number)
    except ValueError:
        raise InputError(f"expected a number after '{name}:'; got '{number}'.") from None
    return _NUMBERED[name](check_real(f"the number of '{name}'", value))


def rule_text(rule: AbstractRule) -> str:
    """The text that names a rule; `rule_named` reads it back for every built-in one.

    >>> rule_text(DReG()), rule_text(OVIS(0.25)), rule_text(OVIS(0.0))
    ('dreg', 'ovis:0.25', 'ovis:0')
    """
    named = next((name for name, known in RULES.items() if known == rule), None)
    if named is not None:
        return named
    if getattr(rule, "centered", False):
        return rule_text(dataclasses.replace(rule, centered=False)) + _CENTERED  # type: ignore[call-arg]
    if isinstance(rule, OVIS):
        return f"ovis:{plain(rule.gamma)}"
    if isinstance(rule, RWS) and rule.wake + rule.sleep == 1:
        return f"wake-sleep:{plain(rule.wake)}"
    return type(rule).__name__.lower()


def plain(number: Scalar | str) -> str:
    """A number as texts of methods and rules spell it.

    >>> plain(2.0), plain(0.25)
    ('2', '0.25')
    """
    return str(number).removesuffix(".0")
