"""Reweighted wake-sleep: the inference network follows the posterior, not the bound's gradient."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from elbax._errors import InputError
from elbax._types import LogWeights
from elbax.bounds import IWAE, MIWAE, UIWAE, AbstractBound
from elbax.rules.abstract import PLAIN, AbstractRule, Coefficients, Context, refuse


class RWS(AbstractRule):
    """A mix of wake-phase and sleep-phase updates of the inference network; any latents.

    Wake: `S = wake w`, towards the posterior under the data, from self-normalized weights.
    Sleep: `sleep E_p(x, z) d log q(z | x) / d phi`, on data that the model dreams. Not the
    gradient of the bound; the generative network's channel is the bound's own.

    Args:
        wake: weight of the wake-phase update.
        sleep: weight of the sleep-phase update, from as many dreams as data.

    References: Bornschein & Bengio 2015, Reweighted wake-sleep, eq. 10 and 13; Hinton, Dayan,
    Frey & Neal 1995, The wake-sleep algorithm.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> RWS()(IWAE(2), log_w).score.round(4).tolist()
    [[0.25], [0.75]]
    """

    needs_path: ClassVar[bool] = False
    wake: float = eqx.field(static=True, default=1.0)
    sleep: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not (min(self.wake, self.sleep) >= 0 and 0 < self.wake + self.sleep < float("inf")):
            raise InputError(
                "expected weights >= 0 of wake and sleep, not both 0; got "
                f"wake={self.wake} and sleep={self.sleep}."
            )

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S = wake g`: for IWAE the self-normalized weights."""
        g, _ = bound.derivatives(log_w)
        return Coefficients(pathwise=jnp.zeros_like(g), score=self.wake * g)

    @property
    def sleep_weight(self) -> float:
        """That of `sleep`."""
        return self.sleep

    def check(self, bound: AbstractBound) -> None:
        """The wake phase needs the weights of IWAE or, per group, MIWAE or UIWAE; sleep none."""
        if self.wake > 0:
            _check_weights(bound, "reweighted wake-sleep")


class RWSDReG(AbstractRule):
    """The wake-phase update, doubly reparameterized: `P = h`, for IWAE `w - w^2`.

    The same expectation as `RWS()`, far less variance; needs reparameterized latents.

    References: Tucker, Lawson, Gu & Maddison 2019, Doubly reparameterized gradient estimators,
    section 4 (RWS-DReG).

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> RWSDReG()(IWAE(2), log_w).pathwise.round(4).tolist()  # w - w^2
    [[0.1875], [0.1875]]
    """

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`P = h`, `S = 0`."""
        _, h = bound.derivatives(log_w)
        return Coefficients(pathwise=h, score=jnp.zeros_like(h))

    def check(self, bound: AbstractBound) -> None:
        """As for RWS."""
        _check_weights(bound, "RWS-DReG")


def _check_weights(bound: AbstractBound, rule: str) -> None:
    if not isinstance(bound, IWAE | MIWAE | UIWAE):
        refuse(
            bound,
            rule,
            "it follows the posterior by IWAE's, MIWAE's or UIWAE's normalized weights.",
        )
