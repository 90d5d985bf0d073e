"""Numbers of an objective that change as training goes: along a ramp, or by learning.

Either may stand where an objective has a number (beta, alpha, the KL weight). `Objective.at`
puts plain numbers in their place; nothing below the objectives ever sees them.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

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
        if isinstance(self.epochs, int | float) and not self.epochs > 0:
            raise InputError(f"expected a ramp over more than 0 epochs; got {self.epochs}.")

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
    """

    start: Scalar
    by: str = eqx.field(static=True, default="noise")

    def __check_init__(self):
        if self.by not in WAYS:
            raise InputError(unknown("way to learn", self.by, WAYS))
        if isinstance(self.start, int | float) and not 0 < self.start < 1:
            raise InputError(
                f"expected a learned number to start strictly between 0 and 1; got {self.start}."
            )


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


def ends(number: Number) -> tuple[float, ...]:
    """The plain numbers that a setting starts and ends with, to check its range; none if traced.

    >>> ends(Ramp(0.0, 1.0, epochs=4))
    (0.0, 1.0)
    """
    given = (number.start, number.end) if isinstance(number, Ramp) else (number,)
    return tuple(value for value in given if isinstance(value, int | float))
