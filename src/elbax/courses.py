"""Numbers of an objective that change as training goes: along a ramp, or by learning.

Either may stand where an objective has a number (beta, alpha, the KL weight). `Objective.at`
puts plain numbers in their place; nothing below the objectives ever sees them.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from elbax._checks import check_real, float32
from elbax._errors import InputError, unknown
from elbax._types import Scalar

WAYS = ("ascend", "descend", "noise")


class Ramp(eqx.Module):
    """A number that goes linearly from `start` to `end` over the first `epochs`, then stays.

    >>> float(Ramp(0.0, 1.0, epochs=4)(1.0))
    0.25
    """

    start: Scalar
    end: Scalar
    epochs: Scalar

    def __check_init__(self):
        for name in ("start", "end"):
            real_scalar(f"the {name} of a ramp", getattr(self, name))
        epochs = real_scalar("the epochs of a ramp", self.epochs)
        if epochs is not None and not 0 < epochs < float("inf"):
            raise InputError(f"expected a ramp over more than 0 epochs; got {epochs:g}.")

    def __call__(self, epoch: Scalar) -> Float[Array, ""]:
        """The number after so many epochs, fractions included; exact at both ends."""
        part = jnp.minimum(jnp.asarray(epoch) / self.epochs, 1)
        return jnp.where(part < 1, self.start + part * (self.end - self.start), self.end)


class Learned(eqx.Module):
    """A number in (0, 1) that is learned while training, as sigmoid(b).

    Args:
        start: its value before the first step, strictly between 0 and 1.
        by: which way b goes. "ascend": up the bound; the bound falls with beta, so beta goes to 0
            whatever the data. "descend": down the bound, and beta goes to 1. Both are kept to
            reproduce reports that learned beta so. "noise": down the relative noise of the
            inference network's gradient, E|g|^2 / |E g|^2, estimated while training.

    Raises:
        InputError: a start that is not strictly between 0 and 1, or another way.

    >>> import elbax
    >>> elbax.bounds.CIWAE(8, Learned(0.3)).num_samples
    8
    """

    start: Scalar
    by: str = eqx.field(static=True, default="noise")

    def __check_init__(self):
        if self.by not in WAYS:
            raise InputError(unknown("way to learn", self.by, WAYS))
        start = real_scalar("the start of a learned number", self.start)
        if start is None:
            return
        if not (0 < start < 1 and float32(start) < 1):
            raise InputError(
                f"expected a learned number to start strictly between 0 and 1; got {start:g}."
            )
        check_real("the start of a learned number", start)


Number = Scalar | Ramp | Learned


def is_course(node: object) -> bool:
    """Whether a node of an objective is a number that changes.

    >>> is_course(Ramp(0.0, 1.0, epochs=4)), is_course(0.5)
    (True, False)
    """
    return isinstance(node, Ramp | Learned)


def plain(number: Number) -> Scalar:
    """The number itself, where nothing that changes may stand any more.

    >>> plain(0.5)
    0.5
    """
    if isinstance(number, Ramp | Learned):
        raise InputError(
            f"expected a plain number; got {number}, which changes while training. Take the "
            "objective at an epoch, `objective.at(epoch)`, or train it with `elbax.fit`."
        )
    return number


def check_range(name: str, number: Any, meaning: str = "") -> None:
    """Refuse a number outside [0, 1], at either end of a ramp; traced numbers pass.

    Any real scalar is a number, NumPy's and JAX's too.

    Raises:
        InputError: with `meaning` after the range.

    >>> check_range("beta", Ramp(0.0, 1.0, epochs=4))
    """
    given = (number.start, number.end) if isinstance(number, Ramp) else (number,)
    for value in given:
        known = None if isinstance(value, Learned) else real_scalar(name, value)
        if known is not None and not 0 <= known <= 1:
            raise InputError(f"expected {name} in [0, 1]{meaning}; got {known:g}.")


def real_scalar(name: str, value: object) -> float | None:
    """A real scalar as a Python number; None where it is traced and so not known.

    Raises:
        InputError: it is no number, or an array of several.

    >>> real_scalar("beta", np.float32(0.5))
    0.5
    """
    if isinstance(value, Tracer):
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.shape != ():
        raise InputError(f"expected {name} as one real number; got {value!r}.")
    return float(array)
