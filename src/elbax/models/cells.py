"""The likelihood of a row with holes: every column with a distribution of its own kind.

A row is one vector `[C]`, a number for each column as a model sees it (`elbax.tables.Column`), NaN
where nothing was observed. Its log-probability is the sum over the observed cells alone.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._types import PRNGKey
from elbax.distributions import AbstractDistribution
from elbax.models.mechanisms import AnyMechanism
from elbax.models.missing import NORMAL, Given
from elbax.tables.schema import KINDS, Schema
from elbax.tables.units import log_jacobian

_STIRLING = 10.0  # from which on two terms of the series are exact in float32


class _Kind(NamedTuple):
    """What cells of one kind can do; parameters `[n, p]` and cells `[n]`, n columns of the kind."""

    log_prob: Callable[[Array, Array], Array]
    sample: Callable[[PRNGKey, Array], Array]
    mean: Callable[[Array], Array]


def _normal_log_prob(p: Array, u: Array) -> Array:
    t = (u - p[:, 0]) / p[:, 1]
    return -0.5 * t**2 - jnp.log(p[:, 1]) - 0.5 * math.log(2 * math.pi)


def _student_log_prob(p: Array, u: Array) -> Array:
    t, df = (u - p[:, 0]) / p[:, 1], p[:, 2]
    gamma = jax.scipy.special.gammaln
    constant = gamma((df + 1) / 2) - gamma(df / 2) - 0.5 * jnp.log(df * math.pi)
    return constant - jnp.log(p[:, 1]) - (df + 1) / 2 * jnp.log1p(t**2 / df)


def _poisson_log_prob(p: Array, u: Array) -> Array:
    return u * p[:, 0] - jnp.exp(p[:, 0]) - jax.scipy.special.gammaln(u + 1)


def _negative_binomial_log_prob(p: Array, u: Array) -> Array:
    """With mean exp(p0) and exp(p1) failures: variance mean + mean^2 / exp(p1)."""
    log_mean, log_size = p[:, 0], p[:, 1]
    size, ratio = jnp.exp(log_size), log_mean - log_size
    # Of log(size / (mean + size)) and log(mean / (mean + size)); a difference of two logarithms
    # would lose what size multiplies.
    fails, succeeds = -jax.nn.softplus(ratio), -jax.nn.softplus(-ratio)
    ways = _log_gamma_ratio(size, log_size, u) - jax.scipy.special.gammaln(u + 1)
    return ways + size * fails + u * succeeds


def _log_gamma_ratio(size: Array, log_size: Array, u: Array) -> Array:
    """Log Gamma(size + u) - log Gamma(size), by Stirling's series where both are large.

    Counts that vary no more than a Poisson's drive the size to infinity, where in float32 the two
    differ by less than either is rounded.
    """
    is_large = size > _STIRLING
    small, large = jnp.where(is_large, 1, size), jnp.where(is_large, size, _STIRLING)
    direct = jax.scipy.special.gammaln(small + u) - jax.scipy.special.gammaln(small)
    log_large = jnp.where(is_large, log_size, math.log(_STIRLING))
    series = (large + u - 0.5) * jnp.log1p(u / large) + u * log_large - u
    series += (1 / (large + u) - 1 / large) / 12
    return jnp.where(is_large, series, direct)


def _categorical_log_prob(p: Array, u: Array) -> Array:
    return jnp.take_along_axis(p, u.astype(int)[:, None], axis=1)[:, 0]


def _sample_normal(key: PRNGKey, p: Array) -> Array:
    return p[:, 0] + p[:, 1] * jax.random.normal(key, p.shape[:1], p.dtype)


def _sample_negative_binomial(key: PRNGKey, p: Array) -> Array:
    rate_key, count_key = jax.random.split(key)
    size = jnp.exp(p[:, 1])
    rate = jax.random.gamma(rate_key, size) / size * jnp.exp(p[:, 0])
    return jax.random.poisson(count_key, rate).astype(p.dtype)


_NORMAL = _Kind(_normal_log_prob, _sample_normal, lambda p: p[:, 0])
_OF_KIND: dict[str, _Kind] = {
    "gaussian": _NORMAL,
    "log-normal": _NORMAL,  # of the standardized logarithm
    "student": _Kind(
        _student_log_prob,
        lambda key, p: p[:, 0] + p[:, 1] * jax.random.t(key, p[:, 2], p.shape[:1], p.dtype),
        lambda p: p[:, 0],
    ),
    "binary": _Kind(
        lambda p, u: u * p[:, 0] - jax.nn.softplus(p[:, 0]),
        lambda key, p: jax.random.bernoulli(key, jax.nn.sigmoid(p[:, 0])).astype(p.dtype),
        lambda p: jax.nn.sigmoid(p[:, 0]),
    ),
    "categorical": _Kind(
        _categorical_log_prob,
        lambda key, p: jax.random.categorical(key, p).astype(p.dtype),
        lambda p: jnp.argmax(p, axis=1).astype(p.dtype),
    ),
    "poisson": _Kind(
        _poisson_log_prob,
        lambda key, p: jax.random.poisson(key, jnp.exp(p[:, 0])).astype(p.dtype),
        lambda p: jnp.exp(p[:, 0]),
    ),
    "negative-binomial": _Kind(
        _negative_binomial_log_prob, _sample_negative_binomial, lambda p: jnp.exp(p[:, 0])
    ),
}


class Row(AbstractDistribution):
    """Independent cells of one row, each of its column's kind; a value is a vector `[C]`.

    Args:
        parameters: by kind `[n, p]` for the n columns of that kind in their order: location and
            scale (gaussian and log-normal, standardized), and degrees of freedom (student), a
            logit (binary), log-probabilities padded with -1e30 (categorical), log rate (poisson),
            or log mean and log size (negative-binomial).
        schema: what the columns are.
        mechanism: why cells are missing, where that depends on values that may be missing; then
            which are missing is observed too.
        noise: standard normal draws that place missing gaussian and log-normal cells for a
            mechanism that does not integrate them out.

    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "gaussian", scale=2.0), Column("b", "poisson")))
    >>> row = Row({"gaussian": jnp.array([[0.0, 1.0]]), "poisson": jnp.array([[0.0]])}, schema)
    >>> round(float(row.log_prob(jnp.array([0.0, jnp.nan]))), 4)  # -log(2 pi) / 2 - log 2
    -1.6121
    """

    parameters: dict[str, Float[Array, "n p"]]
    schema: Schema = eqx.field(static=True)
    mechanism: AnyMechanism | None = None
    noise: Float[Array, " e"] | None = None

    def log_prob(self, value: Float[Array, " c"]) -> Float[Array, ""]:
        """Log p of the observed cells, in nats and in the user's own units."""
        observed = ~jnp.isnan(value)
        # Holes are filled before the density and their terms left out after it, so that neither
        # the value nor the gradient ever meets a NaN times zero.
        filled = jnp.where(observed, value, 0)
        total = jnp.sum(jnp.where(observed, self.cell_log_probs(filled), 0))
        if self.mechanism is None:
            return total
        return total + self.mechanism.log_mask(self._given(value))

    def cell_log_probs(self, filled: Float[Array, " c"]) -> Float[Array, " c"]:
        """Log p of every cell of a row without holes, in the user's own units."""
        constants = np.array([log_jacobian(column) for column in self.schema.columns])
        offset, slope = jnp.asarray(constants.T, filled.dtype)

        def of(kind, p, places):
            return _OF_KIND[kind].log_prob(p, filled[places])

        return self._gathered(of) + offset + slope * filled

    def sample(self, key: PRNGKey) -> Float[Array, " c"]:
        """Every cell drawn; not reparameterized."""

        def of(kind, p, _):
            return _OF_KIND[kind].sample(jax.random.fold_in(key, KINDS.index(kind)), p)

        return self._gathered(of)

    def mean(self) -> Float[Array, " c"]:
        """Every cell's expectation as a model sees it; of a category the most probable index."""
        return self._gathered(lambda kind, p, _: _OF_KIND[kind].mean(p))

    def relative_mean(self) -> Float[Array, " c"]:
        """E[x] where a user's unit is linear in it, and E[x] / exp(center) of a log-normal cell.

        Of real columns it is standardized, of counts and binary ones as it is.
        """

        def of(kind, p, places):
            if kind != "log-normal":
                return _OF_KIND[kind].mean(p)
            scale = jnp.asarray([self.schema.columns[i].scale for i in places], p.dtype)
            return jnp.exp(scale * p[:, 0] + 0.5 * (scale * p[:, 1]) ** 2)

        return self._gathered(of)

    def missing_mean(self, value: Float[Array, " c"] | None = None) -> Float[Array, " c"]:
        """`relative_mean` of every cell, were it missing beside the observed cells of `value`."""
        if self.mechanism is None:
            return self.relative_mean()
        given = self._given(value)
        found = self.mechanism.missing_means(given)
        return jnp.where(self.mechanism.concerns(given), found, self.relative_mean())

    def sample_missing(
        self, key: PRNGKey, value: Float[Array, " c"] | None = None
    ) -> Float[Array, " c"]:
        """Every cell drawn, were it missing beside the observed cells of `value`."""
        drawn = self.sample(key)
        if self.mechanism is None:
            return drawn
        given = self._given(value)
        found = self.mechanism.draw_missing(jax.random.fold_in(key, len(KINDS)), given)
        return jnp.where(self.mechanism.concerns(given), found, drawn)

    def _given(self, value: Float[Array, " c"] | None) -> Given:
        """A row as the mechanism meets it; of no value nothing is observed."""
        assert self.mechanism is not None
        if self.noise is None and self.mechanism.samples(self.schema):
            raise InputError(
                f"expected the draws of missing cells that the mechanism '{self.mechanism.kind}' "
                "needs; take the latents that the model draws, whole."
            )
        loc, scale = self._normal()
        value = jnp.full_like(loc, jnp.nan) if value is None else value
        observed = ~jnp.isnan(value)
        filled = jnp.where(observed, value, 0)
        return Given(filled, observed, loc, scale, self.noise, self.schema)

    def _normal(self) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """Location and scale of the normal columns, 0 and 1 of the others."""

        def part(index: int, other: float):
            def of(kind, p, _):
                return p[:, index] if kind in NORMAL else jnp.full(len(p), other, p.dtype)

            return self._gathered(of)

        return part(0, 0.0), part(1, 1.0)

    def probabilities(self) -> dict[str, Float[Array, "n m"]]:
        """Of the columns of categories: their probabilities, by kind."""
        found = {}
        if "binary" in self.parameters:
            yes = jax.nn.sigmoid(self.parameters["binary"][:, 0])
            found["binary"] = jnp.stack([1 - yes, yes], axis=1)
        if "categorical" in self.parameters:
            found["categorical"] = jnp.exp(self.parameters["categorical"])
        return found

    def _gathered(self, of: Callable[[str, Array, np.ndarray], Array]) -> Float[Array, " c"]:
        """What `of` gives for the columns of each kind, in the order of the columns."""
        parts, places = [], []
        for kind, p in self.parameters.items():
            at = np.array(self.schema.places(kind))
            parts.append(of(kind, p, at))
            places.append(at)
        return jnp.concatenate(parts)[np.argsort(np.concatenate(places))]
