"""Importance-weighted bounds averaged over overlapping groups of samples."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, check_counts, checked, whole_number
from elbax.bounds.importance import MIWAE

PERMUTATIONS = 20  # leave of what overlapping can gain all but a twentieth
_SEED = 0


class UIWAE(AbstractBound):
    r"""A U-statistic of the IWAE bound: the mean of MIWAE(m, k) over orders of the same samples.

    `1/(m p) \sum_p \sum_m L_k(group m of order p)`. Its expectation is that of MIWAE(m, k), L_k;
    its variance is never larger, since groups of different orders overlap and those of one do not.
    With p orders at random it keeps `1/p` of what the complete U-statistic, the mean over all
    groups of k among m k samples, takes off the variance. One order is MIWAE itself.

    The orders are drawn once, by a fixed seed: samples are independent and alike, so that a fixed
    order is as good as a fresh one, and the bound stays a function of the log-weights.

    Args:
        m: groups in one order.
        k: samples in a group.
        permutations: orders p, the first of which is that of the samples.

    References: Burroni, Takatsu, Domke & Sheldon 2023, U-statistics for importance-weighted
    variational inference (the permuted-block estimator, and its variance).

    >>> log_w = jnp.log(jnp.array([[1.0], [1.0], [3.0], [3.0]]))
    >>> bool(UIWAE(2, 2, permutations=1)(log_w) == MIWAE(2, 2)(log_w))
    True
    >>> bool(UIWAE(2, 2)(log_w) > MIWAE(2, 2)(log_w))  # unlike weights share a group more often
    True
    """

    rises_with_shift: ClassVar[bool] = True
    m: int = eqx.field(static=True)
    k: int = eqx.field(static=True)
    permutations: int = eqx.field(static=True, default=PERMUTATIONS)

    def __check_init__(self):
        check_counts(self)
        whole_number("permutations", self.permutations, "UIWAE")

    @property
    def num_samples(self) -> int:
        """Samples per datum, m k, however many orders they are taken in."""
        return self.m * self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The mean of MIWAE over the orders."""
        orders, _ = self._orders()
        return jnp.mean(jax.vmap(MIWAE(self.m, self.k))(checked(self, log_w)[orders]), axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """Those of MIWAE in each order, put back and averaged: no order has a sample twice."""
        orders, places = self._orders()

        def one(order, place):
            g, h = MIWAE(self.m, self.k).derivatives(log_w[order])
            return g[place], h[place]

        g, h = jax.vmap(one)(orders, places)
        return jnp.mean(g, axis=0), jnp.mean(h, axis=0)

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """That of MIWAE in each order, put back and averaged."""
        orders, places = self._orders()

        def one(order, place):
            return MIWAE(self.m, self.k).replaced(log_w[order], other[order])[place]

        return jnp.mean(jax.vmap(one)(orders, places), axis=0)

    def _orders(self) -> tuple[Int[np.ndarray, "p t"], Int[np.ndarray, "p t"]]:
        """Orders of the samples, and where in each of them a sample is.

        By NumPy's legacy generator, whose numbers are the same in every release.
        """
        rng, count = np.random.RandomState(_SEED), self.num_samples
        drawn = [rng.permutation(count) for _ in range(self.permutations - 1)]
        orders = np.stack([np.arange(count), *drawn])
        return orders, np.argsort(orders, axis=1)
