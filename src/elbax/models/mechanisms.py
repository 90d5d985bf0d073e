"""Mechanisms by which every cell's absence depends on the whole row: a probit, or a network.

They read gaussian and log-normal columns, and all columns without holes. One probit of missing
cells that are normal given z is integrated out in closed form. Of several in one row the same cells
are part, and of a network no integral is known: there the cells are drawn, u = mu + sigma eps, and
eps becomes a latent of its own, N(0, 1) under both p and q (`elbax.models._drawn`). The weight

    p(x_o | z) p(s | x_o, u(z, eps)) p(z) / q(z | x_o)

is then that of an ordinary model, whose latents are (z, eps) and whose parameters reach s through u
too; so every bound and every gradient rule holds as it stands.

References: Ipsen, Mattei & Frellsen 2021 (arXiv 2006.12871), section 3 (the bound of not-MIWAE).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from elbax._types import PRNGKey
from elbax.models.config import MISSING
from elbax.models.features import inputs_of, num_values, singles
from elbax.models.missing import GAIN, NORMAL, Given, SelfMasking, log_ndtr
from elbax.nn.linear import Linear
from elbax.tables.schema import Schema

_SIGNS = {"": 0, "-above": 1, "-below": -1}
_HIDDEN = 16


class LinearMasking(eqx.Module):
    """p(cell j is missing | row) = Phi(a_j . v + c_j), v what is read of the row.

    Args:
        raw: `[T, V]`, a / 10 of the T columns with holes and the V numbers that are read; where the
            sign is known a column's own slope is 10 times it through softplus.
        raw_intercept: `[T]`, c / 10.
        sign: 1 where large values of a column go missing, -1 where small ones do, 0 where that is
            to be found.
        kind: its name in a configuration.

    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "gaussian"), Column("b", "gaussian", complete=False)))
    >>> masking = LinearMasking(jnp.array([[0.1, 0.2]]), jnp.zeros(1), 0, "linear")
    >>> seen, cells = jnp.array([True, False]), jnp.array([1.0, 0.0])
    >>> given = Given(cells, seen, jnp.zeros(2), jnp.ones(2), None, schema)
    >>> round(float(masking.log_mask(given)), 4)  # log Phi(1 / sqrt(1 + 2^2))
    -0.3965
    """

    raw: Float[Array, "t v"]
    raw_intercept: Float[Array, " t"]
    sign: int = eqx.field(static=True)
    kind: str = eqx.field(static=True)

    @staticmethod
    def samples(schema: Schema) -> bool:
        """Whether missing cells are drawn: where several columns' probits share them."""
        return len(_targets(schema)) > 1 and bool(schema.places(*NORMAL))

    @staticmethod
    def concerns(given: Given) -> Bool[np.ndarray, " c"]:
        """Which missing cells it says more of than z does."""
        return given.normal

    def log_mask(self, given: Given) -> Float[Array, ""]:
        """Log p(which cells are missing | z, the observed cells and, where drawn, the others)."""
        t, _, _ = self._standard(given)
        return jnp.sum(log_ndtr(_signs(given) * t))

    def missing_means(self, given: Given) -> Float[Array, " c"]:
        """`given.relative` of what is missing, in expectation, or as it was drawn."""
        if given.noise is not None:
            return given.relative(_placed(given))
        t, slope, width = self._standard(given)
        t, slope, width, sign = t[0], slope[0], width[0], _signs(given)[0]
        step = slope * given.scale**2 / width
        density = jax.scipy.stats.norm.logpdf(t)
        mean = given.loc + sign * step * jnp.exp(density - log_ndtr(sign * t))
        # E[exp(r u) | ..]: of a moved normal, times the ratio of the probabilities.
        spread = given.spread
        log_mean = spread * given.loc + 0.5 * (spread * given.scale) ** 2
        log_mean += log_ndtr(sign * (t + spread * step)) - log_ndtr(sign * t)
        logs = spread > 0
        return jnp.where(logs, jnp.exp(jnp.where(logs, log_mean, 0)), mean)

    def draw_missing(self, key: PRNGKey, given: Given) -> Float[Array, " c"]:
        """A draw of what is missing, or what was drawn.

        Column j is missing where v = a . u + c + eps is above 0. v is drawn so, and (u, eps) are
        drawn without regard to it and moved along their covariance with v until they give it.
        """
        if given.noise is not None:
            return _placed(given)
        t, slope, width = self._standard(given)
        t, slope, width, sign = t[0], slope[0], width[0], _signs(given)[0]
        keys = jax.random.split(key, 3)
        least = jnp.clip(-sign * t, max=5)
        above = jax.random.truncated_normal(keys[0], least, jnp.inf, (), given.loc.dtype)
        free = jax.random.normal(keys[1], given.loc.shape, given.loc.dtype)
        own = jax.random.normal(keys[2], (), given.loc.dtype)
        start = (jnp.sum(slope * given.scale * free) + own) / width
        moved = sign * above - start
        return given.loc + given.scale * free + given.scale**2 * slope / width * moved

    def _standard(self, given: Given) -> tuple[Array, Array, Array]:
        """Of each column with holes: t `[T]`, slopes of missing normal cells `[T, C]`, width."""
        weight = self._slopes(given.schema)
        t = weight @ _read(given) + GAIN * self.raw_intercept
        own = given.normal & ~given.observed
        columns = np.array([_feature(given.schema, i) for i in range(len(own))])
        slope = jnp.where(own, weight[:, columns], 0)
        if given.noise is not None:
            return t, slope, jnp.ones_like(t)
        width = jnp.sqrt(1 + jnp.sum((slope * given.scale) ** 2, axis=1))
        return t / width, slope, width

    def _slopes(self, schema: Schema) -> Float[Array, "t v"]:
        raw = GAIN * self.raw
        if not self.sign:
            return raw
        own = np.zeros(raw.shape, bool)
        for row, place in enumerate(_targets(schema)):
            own[row, _feature(schema, place)] = schema.columns[place].kind in NORMAL
        return jnp.where(own, self.sign * jax.nn.softplus(raw), raw)


class NetworkMasking(eqx.Module):
    """p(cell j is missing | row) = sigmoid(f_j(v)), f a network of one hidden layer of 16 tanh.

    Args:
        hidden: the map of what is read of the row to the hidden layer.
        logits: the map of the hidden layer to the T columns with holes.
        kind: its name in a configuration.

    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "gaussian", complete=False),))
    >>> masking = mechanism_of("nonlinear", schema, jax.random.key(0))
    >>> nothing = Given(*jnp.zeros((4, 1)), jnp.zeros(1), schema)
    >>> round(float(masking.log_mask(nothing._replace(observed=jnp.array([False])))), 4)
    -0.6931
    """

    hidden: Linear
    logits: Linear
    kind: str = eqx.field(static=True, default="nonlinear")

    @staticmethod
    def samples(schema: Schema) -> bool:
        """Whether missing cells are drawn: where there are any that can be."""
        return bool(schema.places(*NORMAL))

    @staticmethod
    def concerns(given: Given) -> Bool[np.ndarray, " c"]:
        """Which missing cells it says more of than z does."""
        return given.normal

    def log_mask(self, given: Given) -> Float[Array, ""]:
        """Log p(which cells are missing | the observed cells and the others as drawn)."""
        logits = self.logits(jnp.tanh(self.hidden(_read(given))))
        return jnp.sum(jax.nn.log_sigmoid(_signs(given) * logits))

    def missing_means(self, given: Given) -> Float[Array, " c"]:
        """`given.relative` of what is missing, as it was drawn."""
        return given.relative(_placed(given))

    def draw_missing(self, key: PRNGKey, given: Given) -> Float[Array, " c"]:
        """What is missing, as it was drawn."""
        return _placed(given)


AnyMechanism = SelfMasking | LinearMasking | NetworkMasking


def mechanism_of(kind: str, schema: Schema, key: PRNGKey) -> AnyMechanism | None:
    """What a configuration asks for, before anything is learned; None for missing at random.

    >>> from elbax.tables.schema import Column
    >>> schema = Schema((Column("a", "gaussian"), Column("b", "poisson", complete=False)))
    >>> mechanism_of("linear-above", schema, jax.random.key(0)).raw.shape
    (1, 1)
    """
    if kind == "random":
        return None
    family = next(one for one in ("self-masking", "linear", "nonlinear") if kind.startswith(one))
    sign = _SIGNS[kind.removeprefix(family)]
    if family == "self-masking":
        start = jnp.zeros(len(schema.columns))
        return SelfMasking(start, jnp.copy(start), sign, kind)
    rows, width = len(_targets(schema)), num_values(schema, _places(schema))
    if not rows or not width:  # nothing to learn, or nothing to learn it from
        return None
    if family == "linear":
        return LinearMasking(jnp.zeros((rows, width)), jnp.zeros(rows), sign, kind)
    keys = jax.random.split(key)
    logits = Linear(_HIDDEN, rows, key=keys[1])
    # From even odds, whatever the row.
    logits = eqx.tree_at(lambda one: one.weight, logits, jnp.zeros_like(logits.weight))
    return NetworkMasking(Linear(width, _HIDDEN, key=keys[0]), logits)


assert all(
    one == "random" or one.startswith(("self-masking", "linear", "nonlinear")) for one in MISSING
)


def _targets(schema: Schema) -> tuple[int, ...]:
    """The columns with holes."""
    return tuple(i for i, column in enumerate(schema.columns) if not column.complete)


def _places(schema: Schema) -> tuple[int, ...]:
    """The columns that are read: normal ones, and those that are always there."""
    columns = enumerate(schema.columns)
    return tuple(i for i, column in columns if column.complete or column.kind in NORMAL)


def _feature(schema: Schema, place: int) -> int:
    """Where a column stands among the numbers that are read; 0 of one that is not, or not so."""
    found = singles(schema, _places(schema))
    return found.index(place) if place in found else 0


def _signs(given: Given) -> Array:
    """1 where a cell with a mechanism is missing, -1 where it was observed."""
    return jnp.where(given.observed[np.array(_targets(given.schema), int)], -1.0, 1.0)


def _placed(given: Given) -> Float[Array, " c"]:
    """Normal cells where their noise puts them; of others the location, which is 0."""
    assert given.noise is not None
    noise = jnp.zeros_like(given.loc).at[np.flatnonzero(given.normal)].set(given.noise)
    return given.loc + given.scale * jnp.where(given.normal, noise, 0)


def _read(given: Given) -> Float[Array, " v"]:
    """The numbers that a mechanism reads of a row; without noise, missing cells at their mean."""
    drawn = given.loc if given.noise is None else _placed(given)
    full = jnp.where(given.observed, given.filled, jnp.where(given.normal, drawn, 0))
    known = (given.observed | given.normal).astype(full.dtype)
    return jnp.concatenate(inputs_of(full, known, given.schema, _places(given.schema)))
