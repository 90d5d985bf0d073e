"""What a gradient rule is.

Three channels carry a gradient through a model; per sample i, with z_i held as each says:

* model `A_i`: d log p(x, z_i) / d theta at fixed z_i. Always g of the generative bound.
* pathwise `P_i`: (d log w_i / d z_i) (d z_i / d phi), every dependence on z kept.
* score `S_i`: d log q(z_i | x) / d phi at fixed z_i.

A rule gives P and S for the inference network; all coefficients are constants (no gradient).
"""

import abc
from typing import ClassVar, NamedTuple

import equinox as eqx

from elbax._errors import InputError
from elbax._types import LogWeights, PerDatum, Scalar
from elbax.bounds import AbstractBound


class Coefficients(NamedTuple):
    """Weights `[T, B]` on the two channels of the inference network.

    >>> import jax.numpy as jnp
    >>> Coefficients(jnp.ones((2, 1)), jnp.zeros((2, 1))).pathwise.shape
    (2, 1)
    """

    pathwise: LogWeights
    score: LogWeights


class Context(NamedTuple):
    """What a rule may know beside the bound and the log-weights.

    Attributes:
        kl_weight: b of a KL warm-up. The log-weights are then annealed, log p(x | z) +
            b (log p(z) - log q(z | x)), so that log q enters them b times.
        baseline: a learned prediction of the bound, which knows x but no z.
        scale: a positive number that divides the gradient, the same for all data.

    >>> Context().kl_weight
    1.0
    """

    kl_weight: Scalar = 1.0
    baseline: Scalar | PerDatum = 0.0
    scale: Scalar = 1.0


PLAIN = Context()


class AbstractRule(eqx.Module):
    """A gradient rule: `rule(bound, log_w [T, B], context) -> Coefficients`.

    To write one, subclass it with `__call__`; `needs_path` is False where P is zero, which lets
    discrete latents in. Coefficients are taken as constants.

    >>> import jax.numpy as jnp
    >>> import elbax
    >>> class Wake(AbstractRule):
    ...     needs_path = False
    ...
    ...     def __call__(self, bound, log_w, context=Context()):
    ...         g, _ = bound.derivatives(log_w)
    ...         return Coefficients(pathwise=jnp.zeros_like(g), score=g)
    >>> elbax.Objective(elbax.bounds.IWAE(8), elbax.bounds.IWAE(8), Wake()).num_samples
    8
    """

    needs_path: ClassVar[bool] = True
    """P is not zero: the samples must be reparameterized."""
    needs_prior_path: ClassVar[bool] = False
    """The prior's parameters get a pathwise gradient too."""
    needs_baseline: ClassVar[bool] = False
    """The context's baseline and scale are learned while training."""

    @property
    def sleep_weight(self) -> float:
        """Weight of the sleep-phase gradient, `E_p(x, z) d log q(z | x) / d phi`."""
        return 0.0

    @abc.abstractmethod
    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """The inference network's coefficients under `bound`."""

    def check(self, bound: AbstractBound) -> None:
        """Refuse a bound for which the rule is not what it claims to be.

        Raises:
            InputError: with the reason.
        """


def refuse(bound: AbstractBound, rule: str, reason: str) -> None:
    """Say why a rule and a bound do not go together."""
    raise InputError(f"{rule} does not go with {bound}: {reason}")
