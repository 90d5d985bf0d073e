"""What something of the user's own is, as a hash: code, fields and everything these lead to."""

import dataclasses
import enum
import functools
import hashlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from elbax._errors import InputError

# Code of these is known by its name.
_LIBRARIES = {"elbax", "jax", "jaxlib", "numpy", "scipy", "equinox", "optax", "jaxtyping"}
_LIBRARIES |= {"builtins", "abc", "typing", "dataclasses", "functools", "operator", "math"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))


def fingerprint(thing: Any) -> str:
    """A hash that two things share only if they do the same.

    A function is its bytecode, constants, defaults, and what its closure and the globals that it
    names hold; an object is its class, with the code of that, and its fields. Renaming a variable
    or moving code changes nothing. Anything may carry a text `identity`, which then stands for it.

    Raises:
        InputError: it holds something that cannot be told from others of its kind.

    >>> fingerprint(lambda x: 2 * x) == fingerprint(lambda y: 2 * y)
    True
    >>> fingerprint(lambda x: 2 * x) == fingerprint(lambda x: 3 * x)
    False
    """
    digest = hashlib.sha256()
    for word in _words(thing, ()):
        digest.update(len(word).to_bytes(8, "big") + word)
    return digest.hexdigest()[:16]


def _words(thing: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    """All that counts of a thing, one after the other; `above` are those it is part of."""
    if isinstance(thing, _PLAIN):
        yield f"{type(thing).__name__} {thing!r}".encode()
        return
    if id(thing) in above:
        yield f"the one {len(above) - above.index(id(thing))} above".encode()
        return
    above = (*above, id(thing))
    yield type(thing).__qualname__.encode()
    if isinstance(named := _own_name(thing), str):
        yield named.encode()
    elif (array := _as_array(thing)) is not None:
        yield f"{array.dtype.str} {array.shape}".encode()
        yield np.ascontiguousarray(array).tobytes()
    elif isinstance(thing, set | frozenset):
        yield from sorted(fingerprint(one).encode() for one in thing)
    elif (parts := _parts(thing)) is not None:
        for part in parts:
            yield from _words(part, above)
    else:
        raise InputError(
            f"cannot tell {_shown(thing)} from others of its kind, so runs with it could be "
            "resumed as those of another. Name it: give it a text attribute `identity`, or give "
            'the objective a name, fit({"name": objective}, ..).'
        )


def _own_name(thing: Any) -> str | None:
    """The name by which a thing is known: its `identity`, or where a library has it."""
    identity = getattr(thing, "identity", None)
    if isinstance(identity, str):
        return identity
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    module = getattr(thing, "__module__", None) or type(thing).__module__
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", None))
    in_library = isinstance(module, str) and module.partition(".")[0] in _LIBRARIES
    if in_library and isinstance(name, str) and "<" not in name:
        return f"{module}.{name}"
    return None


def _as_array(thing: Any) -> np.ndarray | None:
    if isinstance(thing, jax.Array) and jax.numpy.issubdtype(thing.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(thing))
    if isinstance(thing, jax.Array | np.ndarray | np.generic):
        array = np.asarray(thing)
        return None if array.dtype.hasobject else array
    return None


def _parts(thing: Any) -> list[Any] | None:
    """What a thing consists of, in order; None where that is not known."""
    for kinds, parts in _PARTS:
        if isinstance(thing, kinds):
            return parts(thing)
    if hasattr(thing, "__wrapped__"):  # jax.jit, custom derivatives, and the like
        rules = [getattr(thing, name, None) for name in ("jvp", "fwd", "bwd")]
        return [thing.__wrapped__, *rules]
    if dataclasses.is_dataclass(thing):
        fields = dataclasses.fields(thing)
        return [type(thing), *((one.name, getattr(thing, one.name, None)) for one in fields)]
    return None


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    cells = [_content(cell) for cell in function.__closure__ or ()]
    names = dict.fromkeys(_names(function.__code__))
    used = [(name, function.__globals__[name]) for name in names if name in function.__globals__]
    return [function.__code__, function.__defaults__, function.__kwdefaults__, cells, used]


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return "empty"


def _parts_of_class(cls: type) -> list[Any]:
    """Its name, and the code of what it and its bases define outside of libraries."""
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in _LIBRARIES]
    kinds = (types.FunctionType, property, staticmethod, classmethod, *_PLAIN)
    defined = []
    for base in own:
        for name, member in sorted(vars(base).items()):
            member = getattr(member, "method", member)  # equinox wraps what a module defines
            if isinstance(member, kinds) and name not in ("__module__", "__doc__"):
                defined.append((name, member))
    return [cls.__module__, cls.__qualname__, [base.__qualname__ for base in cls.__mro__], defined]


_PARTS: list[tuple[Any, Callable[[Any], list[Any]]]] = [
    (tuple | list, list),
    (dict, lambda it: list(it.items())),
    (enum.Enum, lambda it: [type(it).__qualname__, it.name]),
    (functools.partial, lambda it: [it.func, it.args, it.keywords]),
    (types.MethodType, lambda it: [it.__func__, it.__self__]),
    (types.FunctionType, _parts_of_function),
    (types.CodeType, lambda it: [it.co_code, it.co_consts, it.co_names, it.co_freevars]),
    (property, lambda it: [it.fget]),
    (staticmethod | classmethod, lambda it: [it.__func__]),
    (type, _parts_of_class),
]


def _shown(thing: Any) -> str:
    text = f"an object of type {type(thing).__qualname__}"
    name = getattr(thing, "__name__", None)
    return f"'{name}', {text}," if isinstance(name, str) else text
