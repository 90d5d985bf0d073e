"""Numbers and sizes as they arrive: what float32 and int32 hold, and what memory holds.

Free of JAX, so that a wrong number is refused before JAX is imported.
"""

import os
import struct
from numbers import Integral
from typing import Any

from elbax._errors import InputError

INT32 = 2**31  # the first whole number that is too large
_LEAST, _MOST = 2.0**-126, 2.0**128  # of float32; smaller numbers are 0 in compiled programs


def check_real(name: str, value: float | int) -> float | int:
    """The number, if float32, in which elbax computes, keeps it a number and does not make it 0.

    >>> check_real("beta", 0.5)
    0.5
    """
    if value == 0 or _LEAST <= abs(value) < _MOST:
        return value
    raise InputError(
        f"expected {name} to be a number that float32 can hold (0, or from 1.2e-38 to 3.4e38 in "
        f"size); got {value}."
    )


def float32(value: float | int) -> float:
    """The nearest float32.

    >>> float32(0.1) == 0.1, float32(1 - 1e-9)
    (False, 1.0)
    """
    return struct.unpack("f", struct.pack("f", value))[0]


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by its type, Python's or NumPy's: 2.0 and True are none.

    >>> is_whole(2), is_whole(2.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_count(name: str, value: int, least: int = 1, below: int = INT32) -> int:
    """The number, if it is whole and lies in [least, below).

    >>> check_count("k", 64)
    64
    """
    if not is_whole(value):
        raise InputError(f"expected {name} to be a whole number; got {value!r}.")
    if value < least:
        raise InputError(f"expected {name} >= {least}; got {value}.")
    if value >= below:
        raise InputError(f"expected {name} < {below}; got {value}.")
    return value


def check_fits(what: str, num_bytes: int) -> None:
    """Refuse what needs more than twice the memory of this machine, before it is allocated.

    Args:
        what: what is asked for, with its sizes.
        num_bytes: the least that it takes.
    """
    most = 2 * memory_bytes()
    if num_bytes > most:
        raise InputError(
            f"expected sizes that fit in memory (at most {_gigabytes(most)} here); got {what}, "
            f"which takes at least {_gigabytes(num_bytes)}. Choose smaller ones."
        )


def memory_bytes() -> int:
    """The machine's memory; where the system does not say, a generous 512 GB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**39


def num_cores() -> int:
    """Cores that this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.0f} GB"
