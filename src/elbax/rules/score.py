"""Rules for any latents, discrete ones too: the score function and its baselines.

`P = 0` and `S_i = G - b_i - g_i`, where the baseline b_i must not depend on z_i. All of them
leave `E sum_i S_i d log q(z_i | x) / d phi` the gradient of the bound, but for OVIS with gamma
above 0, whose bias is known.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp

from elbax._errors import InputError
from elbax._numerics import log_sum_exp_of_others, mean_of_others
from elbax._types import LogWeights, Scalar
from elbax.bounds import IWAE, AbstractBound
from elbax.rules.abstract import PLAIN, AbstractRule, Coefficients, Context, refuse

Baseline = Callable[[AbstractBound, LogWeights], LogWeights]


class ScoreFunction(AbstractRule):
    """The score function (REINFORCE): `P = 0`, `S_i = G - b_i - g_i`. Unbiased for every bound.

    Args:
        baseline: a function of (bound, log_w) to `[T, B]`, whose row i must not depend on row i
            of log_w (a leave-one-out baseline of your own); none is no baseline.

    References: Williams 1992, Simple statistical gradient-following algorithms; Mnih & Rezende
    2016, eq. 5.
    """

    needs_path: ClassVar[bool] = False
    baseline: Baseline | None = eqx.field(static=True, default=None)

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S_i = G - b_i - g_i`."""
        baseline = 0.0 if self.baseline is None else self.baseline(bound, log_w)
        return _from_score(_signal(bound, log_w, baseline, context.kl_weight))


class VIMCO(AbstractRule):
    """The score function with the bound of the other samples as each sample's baseline.

    b_i is G with w_i replaced by the mean of the others: the arithmetic mean of w, or the
    geometric one. For IWAE and arithmetic means `S_i = log(1 - 1/K) - log(1 - w_i) - w_i`.
    Unbiased for every bound; needs at least two samples, and memory O(K).

    References: Mnih & Rezende 2016, Variational inference for Monte Carlo objectives, eq. 7-10.
    """

    needs_path: ClassVar[bool] = False
    mean: Literal["arithmetic", "geometric"] = eqx.field(static=True, default="arithmetic")

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S_i = G - G(log w_i replaced by the others' mean) - g_i`."""
        if self.mean == "arithmetic":
            other = log_sum_exp_of_others(log_w) - jnp.log(log_w.shape[0] - 1.0)
        else:
            other = mean_of_others(log_w)
        return _from_score(_signal(bound, log_w, bound.replaced(log_w, other), context.kl_weight))

    def check(self, bound: AbstractBound) -> None:
        """At least two samples."""
        if bound.num_samples < 2:
            refuse(bound, "VIMCO", "it leaves one sample out, so draw at least 2 samples.")


class NVIL(AbstractRule):
    """The score function with a learned baseline: a network of x, and a running mean.

    `S_i = (G - b(x) - c - g_i) / max(1, s)`; c and s are the running mean and standard deviation
    of G - b(x). The network and they are learned while training and are part of the run's state.
    Unbiased up to the factor 1 / max(1, s), which is the same for all data of a step.

    References: Mnih & Gregor 2014, Neural variational inference and learning in belief networks,
    section 2.3; for several samples Mnih & Rezende 2016, section 4.
    """

    needs_path: ClassVar[bool] = False
    needs_baseline: ClassVar[bool] = True

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S_i = (G - baseline - g_i) / scale`."""
        signal = _signal(bound, log_w, context.baseline, context.kl_weight)
        return _from_score(signal / context.scale)


class OVIS(AbstractRule):
    """Asymptotically optimal control variates, `S_i = -log(1 - w_i) - (1 - gamma) w_i + const`.

    `gamma` 0 is VIMCO (arithmetic), unbiased; above 0 the bias is gamma times the reweighted
    wake-sleep update, in exchange for less variance where many samples count. IWAE only.

    References: Lievin, Dittadi, Christensen & Winther 2020, Optimal variance control of the
    score function gradient estimator for importance weighted bounds, section 4.
    """

    needs_path: ClassVar[bool] = False
    gamma: Scalar = 1.0

    def __check_init__(self):
        if isinstance(self.gamma, int | float) and not 0 <= self.gamma <= 1:
            raise InputError(f"expected gamma in [0, 1] for OVIS; got {self.gamma}.")

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """VIMCO's S with `gamma (g_i - log(1 - 1/K))` added."""
        vimco = VIMCO()(bound, log_w, context).score
        g, _ = bound.derivatives(log_w)
        constant = jnp.log1p(-1 / jnp.asarray(bound.num_samples, log_w.dtype))
        return _from_score(vimco + self.gamma * (context.kl_weight * g - constant))

    def check(self, bound: AbstractBound) -> None:
        """IWAE with at least two samples."""
        if not isinstance(bound, IWAE):
            refuse(bound, "OVIS", "its control variates are derived for IWAE; take vimco.")
        VIMCO().check(bound)


def _signal(bound: AbstractBound, log_w: LogWeights, baseline, kl_weight) -> LogWeights:
    """`G - baseline - b g`; a baseline that is not finite is none (it depends on no z_i)."""
    g, _ = bound.derivatives(log_w)
    return bound(log_w) - jnp.where(jnp.isfinite(baseline), baseline, 0) - kl_weight * g


def _from_score(score: LogWeights) -> Coefficients:
    return Coefficients(pathwise=jnp.zeros_like(score), score=score)
