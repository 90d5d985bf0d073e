"""Gradient rules: how a bound's derivatives (g, h) become weights on the channels of a gradient."""

from elbax.rules.abstract import AbstractRule, Coefficients, Context
from elbax.rules.names import RULES, rule_named, rule_text
from elbax.rules.path import STL, DReG, GDReG, Reparameterized
from elbax.rules.score import NVIL, OVIS, VIMCO, ScoreFunction
from elbax.rules.wake import RWS, RWSDReG

__all__ = [
    "NVIL",
    "OVIS",
    "RULES",
    "RWS",
    "STL",
    "VIMCO",
    "AbstractRule",
    "Coefficients",
    "Context",
    "DReG",
    "GDReG",
    "RWSDReG",
    "Reparameterized",
    "ScoreFunction",
    "rule_named",
    "rule_text",
]
