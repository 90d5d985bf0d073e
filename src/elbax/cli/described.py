"""Options read off their dataclasses: what `--help` shows, and what a typo is held against."""

import ast
import functools
import inspect
import itertools
import shlex
import textwrap
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, Literal, NamedTuple

import tyro

_POSITIONAL = typing.get_args(tyro.conf.Positional[str])[1]
_VALUES = {int: "N", float: "X", str: "NAME", bool: ""}


class Option(NamedTuple):
    """One option of a command.

    Attributes:
        name: of its field.
        flag: as it is typed, "--from"; None where its place says what it is.
        value: what stands for its value, "N ..."; empty for a switch.
        sentence: what it does.
        default: as it would be typed; empty where there is none, or the sentence says it.
        group: the class whose docstring is the heading above it.
        known: the values that there are, where they are named one by one.
    """

    name: str
    flag: str | None
    value: str
    sentence: str
    default: str
    group: type
    known: tuple[str, ...] = ()


def options_of(holder: type) -> list[Option]:
    """The options of a command in the order of its fields; those of nested groups in their place.

    >>> from elbax.cli.options import DataFetch
    >>> [(option.flag or option.value) for option in options_of(DataFetch)]
    ['--json', 'NAME']
    """
    hints = typing.get_type_hints(holder, include_extras=True)
    found = []
    for field in fields(holder):
        if is_dataclass(field.default_factory):
            found += options_of(typing.cast(type, field.default_factory))
        else:
            found.append(_option(field, hints[field.name], holder))
    return found


def key_of(group: type) -> str:
    """What tells groups apart: the words before the first stop of the heading.

    >>> from elbax.cli.options.shared import DataDirOptions, DataOptions
    >>> key_of(DataOptions), key_of(DataDirOptions)
    ('The data', 'The data')
    """
    heading = inspect.getdoc(group) or ""
    return heading.partition("\n\n")[0].partition(":")[0].partition(",")[0].strip(" .")


def _option(field: Field, hint: Any, holder: type) -> Option:
    marks = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    said = {name: _first(marks, name) for name in ("name", "metavar")}
    positional = _POSITIONAL in marks
    value = said["metavar"] or (field.name.upper() if positional else _value(hint))
    flag = f"--{(said['name'] or field.name).replace('_', '-')}"
    if value == "" and field.default is True:
        flag = f"--[no-]{flag[2:]}"
    declaring = next(one for one in holder.__mro__ if field.name in inspect.get_annotations(one))
    group = next(one for one in holder.__mro__ if key_of(one) == key_of(declaring))
    sentence = _sentences(declaring).get(field.name, "")
    known = tuple(_value(hint).split("|"))
    typed = None if positional else flag
    return Option(field.name, typed, value, sentence, _default(field), group, known)


def _first(marks: tuple[Any, ...], name: str) -> str | None:
    """What `tyro.conf.arg` was told, if it was."""
    return next((found for one in marks if (found := getattr(one, name, None))), None)


def _value(hint: Any) -> str:
    """What stands for a value of a type: N for a number of things, X for a real number."""
    if typing.get_origin(hint) is Annotated:
        return _value(typing.get_args(hint)[0])
    inside = [one for one in typing.get_args(hint) if one is not types.NoneType]
    if typing.get_origin(hint) is Literal:
        return "|".join(inside)
    if typing.get_origin(hint) is tuple:
        return f"{_value(inside[0])} ..."
    return _VALUES[hint] if not inside else _value(inside[0])


def _default(field: Field) -> str:
    value = field.default
    if value is MISSING or value is None or value is False or value == ():
        return ""
    if value is True:
        return "on"
    return " ".join(map(_typed, value if isinstance(value, tuple) else (value,)))


def _typed(value: Any) -> str:
    """A value as a shell takes it.

    >>> _typed("vae(m=64)"), _typed(1e-4), _typed("digits")
    ('"vae(m=64)"', '0.0001', 'digits')
    """
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if shlex.quote(text) == text else f'"{text}"'


@functools.cache
def _sentences(holder: type) -> dict[str, str]:
    """The string below each field of a class, on one line."""
    try:
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(holder))).body
    except OSError:  # installed without its source
        return {}
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in itertools.pairwise(tree.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(below.value.value, str)
    }
