"""Cells missing not at random: the probability that a cell is missing depends on its own value.

Self-masking by a probit, p(missing | u) = Phi(a u + c) of the standardized cell u. Where a cell is
missing, u is integrated out in closed form; nothing about it is sampled. Mechanisms that read the
other columns too are in `elbax.models.mechanisms`.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from elbax._types import PRNGKey
from elbax.tables.schema import Schema

# Adam's first steps are of one size for all parameters; slopes have further to go than weights.
GAIN = 10.0
NORMAL = ("gaussian", "log-normal")  # kinds whose missing cells are integrated or drawn

log_ndtr = jax.scipy.special.log_ndtr


class Given(NamedTuple):
    """A row of which some cells are missing, given the latents, as its mechanism meets it.

    Args:
        filled: `[C]`, the cells as a model sees them, zeros where missing.
        observed: `[C]`, which were observed.
        loc: `[C]`, location of the cells that are normal given z, 0 of the others.
        scale: `[C]`, likewise their standard deviation, 1 of the others.
        noise: `[n]`, standard normal draws that place the n normal cells where they are missing;
            None where these are integrated out.
        schema: what the columns are.

    >>> Given(jnp.zeros(2), jnp.ones(2, bool), jnp.zeros(2), jnp.ones(2), None, None).noise
    """

    filled: Float[Array, " c"]
    observed: Bool[Array, " c"]
    loc: Float[Array, " c"]
    scale: Float[Array, " c"]
    noise: Float[Array, " n"] | None
    schema: Schema

    @property
    def normal(self) -> Bool[np.ndarray, " c"]:
        """Which columns are normal given z."""
        return np.array([column.kind in NORMAL for column in self.schema.columns])

    @property
    def spread(self) -> Float[Array, " c"]:
        """What a standardized logarithm is to be multiplied with; 0 where a cell is none."""
        columns = self.schema.columns
        found = [one.scale if one.kind == "log-normal" else 0.0 for one in columns]
        return jnp.asarray(found, self.loc.dtype)

    def relative(self, u: Float[Array, " c"]) -> Float[Array, " c"]:
        """Cells in units that a user's are linear in: `exp(spread u)` of logarithms, else u."""
        return jnp.where(self.spread > 0, jnp.exp(self.spread * u), u)


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
        raw = GAIN * self.raw
        return self.sign * jax.nn.softplus(raw) if self.sign else raw

    @property
    def intercept(self) -> Float[Array, " c"]:
        """The intercepts c."""
        return GAIN * self.raw_intercept

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

    # What a `Row` asks of every mechanism.

    @staticmethod
    def samples(schema: Schema) -> bool:
        """Whether missing cells are drawn; here they never are."""
        return False

    @staticmethod
    def concerns(given: Given) -> Bool[np.ndarray, " c"]:
        """Which missing cells it says more of than z does: normal ones in columns with holes."""
        return given.normal & np.array([not column.complete for column in given.schema.columns])

    def log_mask(self, given: Given) -> Float[Array, ""]:
        """Log p(which cells are missing | z and the observed cells)."""
        own = self.concerns(given)
        seen = self.log_observed(jnp.where(given.observed & own, given.filled, 0))
        holes = self.log_missing(given.loc, given.scale)
        return jnp.sum(jnp.where(own, jnp.where(given.observed, seen, holes), 0))

    def missing_means(self, given: Given) -> Float[Array, " c"]:
        """`given.relative` of what is missing, in expectation."""
        loc, scale, spread = given.loc, given.scale, given.spread
        # E[exp(r u) | missing] of a normal u: that of a moved one times the ratio of p(missing).
        moved = self.log_missing(loc + spread * scale**2, scale)
        log_mean = spread * loc + 0.5 * (spread * scale) ** 2
        log_mean += moved - self.log_missing(loc, scale)
        logs = spread > 0
        found = self.missing_mean(loc, scale)
        return jnp.where(logs, jnp.exp(jnp.where(logs, log_mean, 0)), found)

    def draw_missing(self, key: PRNGKey, given: Given) -> Float[Array, " c"]:
        """A draw of what is missing."""
        return self.sample_missing(key, given.loc, given.scale)
