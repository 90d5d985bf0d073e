"""Cells missing not at random: the probability that a cell is missing depends on its own value.

Self-masking by a probit, p(missing | u) = Phi(a u + c) of the standardized cell u. Where a cell is
missing, u is integrated out in closed form; nothing about it is sampled.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._types import PRNGKey
from elbax.models.config import MISSING
from elbax.tables.schema import Schema

_SIGNS = {"self-masking": 0, "self-masking-above": 1, "self-masking-below": -1}
assert set(_SIGNS) | {"random"} == set(MISSING)

# Adam's first steps are of one size for all parameters; slopes have further to go than weights.
_GAIN = 10.0

log_ndtr = jax.scipy.special.log_ndtr


class SelfMasking(eqx.Module):
    """p(missing | u) = Phi(a u + c), a and c of each column.

    For u = mu + sigma eps, with d = sqrt(1 + a^2 sigma^2) and t = (a mu + c) / d,

        p(missing | z) = Phi(t),  E[u | z, missing] = mu + sigma^2 (a / d) phi(t) / Phi(t).

    Args:
        raw: `[C]`, a / 10, or where the sign is known a tenth of what softplus makes its size.
        raw_intercept: `[C]`, c / 10.
        sign: 1 where large values go missing, -1 where small ones do, 0 where that is to be found.
        kind: its name in a configuration.

    References: Ipsen, Mattei & Frellsen 2021 (arXiv 2006.12871), section 3, for the model; the
        integrals are those of a probit under a normal distribution.

    >>> masking = SelfMasking(jnp.array([0.5]), jnp.zeros(1), 0, "self-masking")
    >>> loc, scale = jnp.zeros(1), jnp.full(1, 2**0.5)
    >>> round(float(masking.missing_mean(loc, scale)[0]), 3)  # x = z + eps, nothing observed
    1.117
    """

    raw: Float[Array, " c"]
    raw_intercept: Float[Array, " c"]
    sign: int = eqx.field(static=True)
    kind: str = eqx.field(static=True)

    @property
    def slope(self) -> Float[Array, " c"]:
        """The slopes a."""
        raw = _GAIN * self.raw
        return self.sign * jax.nn.softplus(raw) if self.sign else raw

    @property
    def intercept(self) -> Float[Array, " c"]:
        """The intercepts c."""
        return _GAIN * self.raw_intercept

    def log_observed(self, u: Float[Array, " c"]) -> Float[Array, " c"]:
        """Log p(observed | u) of every cell."""
        return log_ndtr(-(self.slope * u + self.intercept))

    def log_missing(self, loc: Float[Array, " c"], scale: Float[Array, " c"]) -> Array:
        """Log p(missing | z) of every cell that is normal given z."""
        return log_ndtr(self._standard(loc, scale)[0])

    def missing_mean(self, loc: Float[Array, " c"], scale: Float[Array, " c"]) -> Array:
        """E[u | z, missing]."""
        t, width = self._standard(loc, scale)
        ratio = jnp.exp(jax.scipy.stats.norm.logpdf(t) - log_ndtr(t))
        return loc + scale**2 * self.slope / width * ratio

    def sample_missing(
        self, key: PRNGKey, loc: Float[Array, " c"], scale: Float[Array, " c"]
    ) -> Float[Array, " c"]:
        """A draw of p(u | z, missing).

        With v = a u + c + eps', a cell is missing where v > 0; v is drawn so, and u given v.
        """
        v_key, u_key = jax.random.split(key)
        t, width = self._standard(loc, scale)
        v = jax.random.truncated_normal(v_key, jnp.clip(-t, max=5), jnp.inf, loc.shape, loc.dtype)
        noise = jax.random.normal(u_key, loc.shape, loc.dtype)
        return loc + scale**2 * self.slope / width * v + scale / width * noise

    def _standard(self, loc: Array, scale: Array) -> tuple[Array, Array]:
        """t and d."""
        width = jnp.sqrt(1 + (self.slope * scale) ** 2)
        return (self.slope * loc + self.intercept) / width, width


def mechanism_of(kind: str, schema: Schema) -> SelfMasking | None:
    """What a configuration asks for, before anything is learned; None for missing at random."""
    if kind == "random":
        return None
    start = jnp.zeros(len(schema.columns))
    return SelfMasking(start, jnp.copy(start), _SIGNS[kind], kind)
