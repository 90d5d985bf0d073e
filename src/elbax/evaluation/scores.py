"""Scores of rows: log p-hat, how far each can be trusted, and what is usual under the model.

A row's draws are keyed by its content, so that its score depends on the row, the model and the
seed alone. Rows that cannot be trusted yet are sampled on, the others are not.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from elbax._checks import check_count, num_cores
from elbax._door import checked_data, checked_table
from elbax._errors import InputError
from elbax._keys import key_of
from elbax._log_weights import log_weights_of
from elbax._types import Data
from elbax.evaluation.contents import blocks_of, row_key, words_of
from elbax.evaluation.posterior import sample
from elbax.evaluation.reliability import khat_threshold, monte_carlo_error, pareto_khat, tail_size
from elbax.models.interface import Model
from elbax.tables.table import Table

_WINDOW = 64  # blocks whose weights are held at once
_MASKS = 32  # of whose draws the scores are taken at once


@dataclass(frozen=True)
class Scores:
    """Scores of N rows; a low one is unusual.

    Attributes:
        log_p_hat: `[N]`, the estimate of log p(x_observed) in nats, in the user's units.
        error: `[N]`, its Monte Carlo standard error, in nats.
        khat: `[N]`, Pareto k-hat of the weights.
        ess: `[N]`, effective sample size.
        num_samples: `[N]`, how many samples each row took.
        reliable: `[N]`, whether k-hat is at most `min(1 - 1 / log10 K, 0.7)`; elsewhere the score
            lies further below the truth than its error says.
        p_value: `[N]`, the share of the model's own draws under the row's own mask that score no
            higher, (1 + r) / (1 + n); None where it was not asked for.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> score(model, np.zeros((5, 3)), num_samples=100).log_p_hat.shape
    (5,)
    """

    log_p_hat: Float[np.ndarray, " n"]
    error: Float[np.ndarray, " n"]
    khat: Float[np.ndarray, " n"]
    ess: Float[np.ndarray, " n"]
    num_samples: np.ndarray
    reliable: np.ndarray
    p_value: Float[np.ndarray, " n"] | None = None

    def __repr__(self) -> str:
        """The mean and how many can be trusted, rather than the rows."""
        return (
            f"Scores({len(self.log_p_hat)} rows, mean log p-hat {self.log_p_hat.mean():.2f} nats, "
            f"{int((~self.reliable).sum())} unreliable)"
        )


def score(
    model: Model,
    x: Data | Table,
    *,
    num_samples: int = 1000,
    most_samples: int | None = None,
    largest_error: float = 0.1,
    p_draws: int = 0,
    p_samples: int = 100,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    r"""Score rows by log p-hat, with its error and whether to trust it.

    `log p-hat = log (1/K) \sum_k w_k`. Rows with a k-hat above its threshold, or an error above
    `largest_error`, go on with twice as many samples until they pass or have `most_samples`.

    Args:
        model: the model.
        x: rows `[N, *event]`, or an `elbax.Table` under the model's schema; of a table NaN is a
            cell that is missing.
        num_samples: K of every row, at least 25, below which no k-hat is known.
        most_samples: of a row that needs more; 16 times as many if omitted.
        largest_error: Monte Carlo error to aim at, in nats.
        p_draws: draws of the model for each pattern of holes that p-values come from; 0 for none.
            Row and draws are then compared by the same number of samples, `p_samples`.
        p_samples: samples of each draw.
        seed: of all draws.
        progress: told the fraction done of the first round.

    Raises:
        InputError: counts that cannot be, or data that are not the model's.

    References: Burda et al. 2015, section 5; Vehtari et al. 2024 for k-hat and its threshold.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0), offset=0.0)
    >>> found = score(model, np.array([[0.0, 1.0, 2.0]]), num_samples=400)
    >>> exact = model.generative.log_marginal(jnp.array([0.0, 1.0, 2.0]))
    >>> bool(abs(found.log_p_hat[0] - exact) < 4 * found.error[0] + 1e-3)
    True
    """
    most = check_count("most_samples", 16 * num_samples if most_samples is None else most_samples)
    if check_count("num_samples", num_samples, 25) > most:
        raise InputError(f"expected most_samples >= num_samples; got {most} and {num_samples}.")
    check_count("p_draws", p_draws, 0)
    check_count("p_samples", p_samples, 2)
    x = checked_table(model, x) if isinstance(x, Table) else np.asarray(checked_data(model, x))
    words = words_of(x.reshape(len(x), -1))
    sums = _Sums(len(x), most)
    active, found = np.arange(len(x)), sums.scores()
    while len(active):
        before = int(sums.count[active[0]])  # of all active rows
        wanted = min(max(before, num_samples), most - before)
        told = progress if before == 0 else None
        for rows, log_w in _weights(model, x, words, active, before, wanted, seed, told):
            sums.add(rows, log_w)
        sums.count[active] = before + wanted
        found = sums.scores()
        again = ~found.reliable | ~(found.error <= largest_error)
        active = active[again[active] & (before + wanted < most)]
    if not p_draws:
        return found
    p_value = _p_values(model, x, p_draws, p_samples, seed)
    return Scores(**{**vars(found), "p_value": p_value})


class _Sums:
    """What is kept of the weights that rows have had so far."""

    def __init__(self, num_rows: int, most: int):
        self.count = np.zeros(num_rows, int)
        self._first = np.full(num_rows, -np.inf)  # log sum of weights
        self._second = np.full(num_rows, -np.inf)  # and of their squares
        self._largest = np.full((num_rows, min(tail_size(most) + 1, most)), -np.inf)

    def add(self, rows: np.ndarray, log_w: np.ndarray) -> None:
        """More weights `[n, k]` of some rows."""
        log_w = log_w.astype(np.float64)
        with np.errstate(invalid="ignore"):  # of a model that diverged; such rows are not reliable
            self._first[rows] = np.logaddexp(self._first[rows], _log_sum(log_w))
            self._second[rows] = np.logaddexp(self._second[rows], _log_sum(2 * log_w))
        both = np.concatenate([self._largest[rows], log_w], axis=1)
        size = self._largest.shape[1]
        kept = -np.partition(-both, size - 1, axis=1)[:, :size] if both.shape[1] > size else both
        self._largest[rows] = -np.sort(-kept, axis=1)

    def scores(self) -> Scores:
        """What they say."""
        khat = np.full(len(self.count), np.nan)
        threshold = np.full(len(self.count), -np.inf)
        error = np.full(len(self.count), np.nan)
        with np.errstate(invalid="ignore", over="ignore"):
            ess = np.exp(2 * self._first - self._second)
        for count in map(int, np.unique(self.count[self.count > 0])):
            rows = self.count == count
            khat[rows] = pareto_khat(self._largest[rows, : tail_size(count) + 1].T)
            threshold[rows] = khat_threshold(count)
            error[rows] = monte_carlo_error(ess[rows], count)
        log_p_hat = self._first - np.log(np.maximum(self.count, 1))
        reliable = np.isfinite(log_p_hat) & (khat <= threshold)
        return Scores(log_p_hat, error, khat, ess, self.count.copy(), reliable)


def _log_sum(log_w: np.ndarray) -> np.ndarray:
    highest = log_w.max(axis=1)
    shift = np.where(np.isfinite(highest), highest, 0)
    with np.errstate(divide="ignore"):
        return shift + np.log(np.exp(log_w - shift[:, None]).sum(axis=1))


def _weights(model, x, words, rows, first, count, seed, progress=None):
    """Log-weights `[n, k]` of some rows, a block at a time: samples first to first + count."""
    params, static = eqx.partition(model, eqx.is_array)
    size = min(count, 1000)
    blocks = blocks_of(len(rows), size)

    def of(block: np.ndarray) -> np.ndarray:
        own = rows[block]
        data, own_words = jnp.asarray(x[own]), jnp.asarray(words[own])
        parts = [
            np.asarray(_block(params, data, own_words, key_of(seed), start, static, size))
            for start in range(first, first + count, size)
        ]
        return np.concatenate(parts, axis=1)[:, :count]

    # The first goes ahead alone, and compiles; then as many at a time as there are cores.
    windows = [blocks[:1], *(blocks[i : i + _WINDOW] for i in range(1, len(blocks), _WINDOW))]
    done = 0
    with ThreadPoolExecutor(num_cores()) as pool:
        for window in windows:
            for block, log_w in zip(window, pool.map(of, window), strict=True):
                fresh = min(len(block), len(rows) - done)
                yield rows[block[:fresh]], log_w[:fresh]
                done += fresh
                if progress is not None:
                    progress(done / len(rows))


@partial(jax.jit, static_argnames=("static", "size"))
def _block(params, x, words, key, first, static, size: int):
    """Log-weights `[b, size]` of a block of rows, by keys of their contents."""
    model = eqx.combine(params, static)
    keys = jax.vmap(row_key, (None, 0))(key, words)
    samples = first + jnp.arange(size)
    keys = jax.vmap(lambda s: jax.vmap(lambda k: jax.random.fold_in(k, s))(keys))(samples)
    return log_weights_of(model, x, keys).T


def _p_values(model: Model, x: np.ndarray, p_draws: int, p_samples: int, seed: int) -> np.ndarray:
    """Of every row, against draws of the model that have its holes."""
    drawn = sample(model, p_draws, key=jax.random.fold_in(key_of(seed), 1))
    masks, own = np.unique(np.isnan(x), axis=0, return_inverse=True)
    own = own.reshape(-1)
    found = _fixed(model, x, p_samples, seed)
    p_value = np.empty(len(x))
    for start in range(0, len(masks), _MASKS):
        few = masks[start : start + _MASKS]
        holed = np.where(few[:, None], np.nan, drawn[None]).astype(x.dtype)
        usual = _fixed(model, holed.reshape(-1, *x.shape[1:]), p_samples, seed)
        for place, scores in enumerate(usual.reshape(len(few), p_draws), start):
            rows = own == place
            as_low = (scores[None] <= found[rows, None]).sum(axis=1)
            p_value[rows] = (1 + as_low) / (1 + p_draws)
    return p_value


def _fixed(model: Model, x: np.ndarray, num_samples: int, seed: int) -> np.ndarray:
    """log p-hat of rows by so many samples each."""
    words, found = words_of(x.reshape(len(x), -1)), np.empty(len(x))
    for rows, log_w in _weights(model, x, words, np.arange(len(x)), 0, num_samples, seed):
        found[rows] = _log_sum(log_w.astype(np.float64)) - np.log(num_samples)
    return found
