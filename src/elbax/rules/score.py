"""Rules for any latents, discrete ones too: the score function and its baselines.

`P = 0` and `S_i = G - b_i - g_i`, where the baseline b_i must not depend on z_i. All of them
leave `E sum_i S_i d log q(z_i | x) / d phi` the gradient of the bound, but for OVIS with gamma
above 0, whose bias is known.

Since g sums to one, S carries a constant -1/T. The expected score is zero, so that a constant
changes no expectation, only the variance; `centered` takes this one out. Near the optimum it is
nearly all of VIMCO's S, and without it VIMCO's signal-to-noise ratio rises as sqrt(K) instead of
falling as 1 / sqrt(K).
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp

from elbax._numerics import log_sum_exp_of_others, mean_of_others, shifted
from elbax._types import LogWeights, Scalar
from elbax.bounds import IWAE, AbstractBound
from elbax.courses import check_range
from elbax.rules.abstract import PLAIN, AbstractRule, Coefficients, Context, refuse

Baseline = Callable[[AbstractBound, LogWeights], LogWeights]


class ScoreFunction(AbstractRule):
    """The score function (REINFORCE): `P = 0`, `S_i = G - b_i - g_i`. Unbiased for every bound.

    Args:
        baseline: a function of (bound, log_w) to `[T, B]`, whose row i must not depend on row i
            of log_w (a leave-one-out baseline of your own); none is no baseline.
        centered: take out the constant -1/T that S carries.

    References: Williams 1992, Simple statistical gradient-following algorithms; Mnih & Rezende
    2016, eq. 5.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> ScoreFunction()(IWAE(2), log_w).score.shape
    (2, 1)
    """

    needs_path: ClassVar[bool] = False
    baseline: Baseline | None = eqx.field(static=True, default=None)
    centered: bool = eqx.field(static=True, default=False)

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S_i = G - b_i - g_i`, centered `+ 1/T`."""
        baseline = 0.0 if self.baseline is None else self.baseline(bound, log_w)
        gain = bound(log_w) - jnp.where(jnp.isfinite(baseline), baseline, 0)
        return _from_gain(gain, bound, log_w, context.kl_weight, self.centered)


class VIMCO(AbstractRule):
    """The score function with the bound of the other samples as each sample's baseline.

    b_i is G with w_i replaced by the mean of the others: the arithmetic mean of w, or the
    geometric one. For IWAE and arithmetic means `S_i = log(1 - 1/K) - log(1 - w_i) - w_i`.
    Unbiased for every bound; needs at least two samples, and memory O(K). `centered` takes out the
    constant -1/T that S carries; then no sample moves the encoder where all weights are equal, but
    for terms of order 1/T^2.

    References: Mnih & Rezende 2016, Variational inference for Monte Carlo objectives, eq. 7-10.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> [round(float(s), 4) for s in VIMCO()(IWAE(2), log_w).score[:, 0]]
    [-0.6555, -0.0569]
    """

    needs_path: ClassVar[bool] = False
    mean: Literal["arithmetic", "geometric"] = eqx.field(static=True, default="arithmetic")
    centered: bool = eqx.field(static=True, default=False)

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S_i = G - G(log w_i replaced by the others' mean) - g_i`, centered `+ 1/T`."""
        # The difference of two bounds near -1e4 would have few digits left.
        near = shifted(log_w) if bound.rises_with_shift else log_w
        if self.mean == "arithmetic":
            other = log_sum_exp_of_others(near) - jnp.log(near.shape[0] - 1.0)
        else:
            other = mean_of_others(near)
        baseline = bound.replaced(near, other)
        gain = jnp.where(jnp.isfinite(baseline), bound(near) - baseline, bound(log_w))
        return _from_gain(gain, bound, log_w, context.kl_weight, self.centered)

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

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> NVIL()(IWAE(2), log_w).score.shape
    (2, 1)
    """

    needs_path: ClassVar[bool] = False
    needs_baseline: ClassVar[bool] = True
    centered: bool = eqx.field(static=True, default=False)

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`S_i = (G - baseline - g_i) / scale`, centered `(.. + 1/T) / scale`."""
        gain = bound(log_w) - context.baseline
        found = _from_gain(gain, bound, log_w, context.kl_weight, self.centered)
        return found._replace(score=found.score / context.scale)


class OVIS(AbstractRule):
    """Asymptotically optimal control variates for IWAE.

    `S_i = -log(1 - w_i) - (1 - gamma) w_i + gamma log(1 - 1/K)`.

    gamma 0 is unbiased; it is VIMCO (arithmetic) without VIMCO's constant log(1 - 1/K), and its
    signal-to-noise ratio rises with K where VIMCO's falls. Above 0 the bias is gamma times the
    reweighted wake-sleep update, in exchange for less variance where many samples count. IWAE only.

    References: Lievin, Dittadi, Christensen & Winther 2020, Optimal variance control of the
    score function gradient estimator for importance weighted bounds, eq. 17.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> OVIS(0.0)(IWAE(2), log_w).score.shape
    (2, 1)
    """

    needs_path: ClassVar[bool] = False
    gamma: Scalar = 1.0

    def __check_init__(self):
        check_range("gamma", self.gamma, " for OVIS")

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """Eq. 17 as VIMCO's S, `log(1 - 1/K) - log(1 - w) - w`, and what it differs by."""
        vimco, (g, _) = VIMCO()(bound, log_w, context), bound.derivatives(log_w)
        constant = jnp.log1p(-1 / jnp.asarray(bound.num_samples, log_w.dtype))
        change = self.gamma * context.kl_weight * g - (1 - self.gamma) * constant
        return vimco._replace(score=vimco.score + change)

    def check(self, bound: AbstractBound) -> None:
        """IWAE with at least two samples."""
        if not isinstance(bound, IWAE):
            refuse(bound, "OVIS", "its control variates are derived for IWAE; take vimco.")
        VIMCO().check(bound)


def _from_gain(gain, bound: AbstractBound, log_w: LogWeights, kl_weight, centered) -> Coefficients:
    """`S = gain - b g`, gain G less a baseline, b the KL weight; centered `+ b/T`.

    A baseline that is not finite is none (it depends on no z_i).
    """
    g, _ = bound.derivatives(log_w)
    score = gain - kl_weight * g + (kl_weight / bound.num_samples if centered else 0)
    return Coefficients(pathwise=jnp.zeros_like(g), score=score)
