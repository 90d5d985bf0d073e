"""Rules that differentiate through the samples: reparameterized, STL, DReG, generalized DReG."""

from typing import ClassVar

import jax.numpy as jnp

from elbax._types import LogWeights
from elbax.bounds import AbstractBound
from elbax.rules.abstract import PLAIN, AbstractRule, Coefficients, Context


class Reparameterized(AbstractRule):
    """The plain gradient through the sample path: `P = g`, `S = -g`. Unbiased for every bound.

    References: Kingma & Welling 2014; Burda, Grosse & Salakhutdinov 2015, eq. 13.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> Reparameterized()(IWAE(2), log_w).score.round(4).tolist()
    [[-0.25], [-0.75]]
    """

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`P = g`, `S = -b g`, b the KL weight."""
        g, _ = bound.derivatives(log_w)
        return Coefficients(pathwise=g, score=-context.kl_weight * g)


class STL(AbstractRule):
    """Sticking the landing: the score term left out, `P = g`, `S = 0`.

    Unbiased only where g is constant (the ELBO); for a tighter bound its bias is the
    reweighted wake-sleep update.

    References: Roeder, Wu & Duvenaud 2017, Sticking the landing, section 3.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> STL()(IWAE(2), log_w).pathwise.round(4).tolist()
    [[0.25], [0.75]]
    """

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`P = g`, `S = 0`."""
        g, _ = bound.derivatives(log_w)
        return Coefficients(pathwise=g, score=jnp.zeros_like(g))


class DReG(AbstractRule):
    """Doubly reparameterized gradient in its general form: `P = g - h`, `S = 0`.

    The score term, reparameterized a second time, turns g into g - h (for IWAE: w into w^2);
    unbiased for every twice differentiable bound, with far less variance for many samples.

    References: Tucker, Lawson, Gu & Maddison 2019, Doubly reparameterized gradient estimators,
    eq. 9 (IWAE) and appendix.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> DReG()(IWAE(2), log_w).pathwise.round(4).tolist()  # w^2
    [[0.0625], [0.5625]]
    """

    def __call__(
        self, bound: AbstractBound, log_w: LogWeights, context: Context = PLAIN
    ) -> Coefficients:
        """`P = g - b h`, `S = 0`, b the KL weight."""
        g, h = bound.derivatives(log_w)
        return Coefficients(pathwise=g - context.kl_weight * h, score=jnp.zeros_like(g))


class GDReG(DReG):
    """DReG, and the same for the parameters of a learned prior.

    A weighted score of the prior, `f d log p(z) / d theta`, equals in expectation the pathwise
    term `(f d/dz log(q/p) + df/dz) dT/dtheta` with z = T(noise; theta) drawn as from the prior.
    For parameters of the prior alone: the likelihood's keep their channel.

    References: Bauer & Mnih 2021, Generalized doubly reparameterized gradient estimators, eq. 7.

    >>> import jax.numpy as jnp
    >>> from elbax.bounds import IWAE
    >>> log_w = jnp.log(jnp.array([[0.25], [0.75]]))
    >>> GDReG()(IWAE(2), log_w).pathwise.round(4).tolist()  # w^2
    [[0.0625], [0.5625]]
    """

    needs_prior_path: ClassVar[bool] = True
