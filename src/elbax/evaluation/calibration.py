r"""Simulation-based calibration of the encoder: ranks of the truth among its draws.

z and x are drawn from the model together, so that z is a draw from p(z | x). Were q(z | x) that
posterior, the rank of z among draws of q would be uniform, unit by unit and for any function of z;
where q is too narrow, ranks pile up at both ends.
"""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Float, Int

from elbax._checks import check_count
from elbax._door import checked_key
from elbax._errors import InputError
from elbax._numerics import normalize_weights
from elbax._types import PRNGKey
from elbax.evaluation.posterior import simulated
from elbax.models.interface import Model

DRAWS = 99  # whose ranks are 0 to 99
JOINT = "joint"
_POOL = 1000  # draws of q that resampled ones are chosen from
_ROWS = 20_000  # draws at a time


@dataclass(frozen=True)
class Calibration:
    """Ranks of true latents among draws, of data simulated from a model.

    Attributes:
        ranks: `[N, U]` for each layer, nearest to the data first, how many of the draws lie below
            the truth, unit by unit; and under "joint" `[N, 1]`, how many are less probable than
            it by log p(x, z), all latents together.
        num_draws: among which; a rank is from 0 to this.

    >>> Calibration({"layer 1": np.array([[0], [3], [5], [9]])}, 9).coverage("layer 1", 0.5)
    0.5
    """

    ranks: dict[str, Int[np.ndarray, "n u"]]
    num_draws: int

    def __repr__(self) -> str:
        """How often central intervals hold the truth."""
        found = ", ".join(f"{name} {self.coverage(name):.2f}" for name in self.ranks)
        return f"Calibration(90 % intervals hold the truth: {found})"

    def coverage(self, name: str, share: float = 0.9) -> float:
        """How often an interval of that share of the draws holds the truth.

        Of a unit the interval in the middle; of the joint ranks the region of highest density.
        """
        return float(self._held(name, share).mean())

    def coverage_error(self, name: str, share: float = 0.9) -> float:
        """Its standard error over the data, whose units go together."""
        held = self._held(name, share).mean(axis=1)
        return float(held.std(ddof=1) / np.sqrt(len(held))) if len(held) > 1 else float("nan")

    def shares(self, name: str, bins: int = 20) -> tuple[Float[np.ndarray, " b"], np.ndarray]:
        """Of ranks in each bin the share, over all units of a layer, and its standard error.

        The error is what uniform ranks would have: of N data, or as far as units of a datum go
        together more.
        """
        places = self.ranks[name] * bins // (self.num_draws + 1)
        of_datum = np.stack([(places == b).mean(axis=1) for b in range(bins)])
        num = of_datum.shape[1]
        alone = np.sqrt((1 / bins) * (1 - 1 / bins) / (num * places.shape[1]))
        together = of_datum.std(axis=1, ddof=1).mean() / np.sqrt(num) if num > 1 else 0.0
        return of_datum.mean(axis=1), np.full(bins, max(alone, together))

    def p_value(self, name: str) -> float:
        """The chance of ranks so far from uniform: the least over units, times their number.

        By Kolmogorov and Smirnov's test of each unit over the data.
        """
        ranks = self.ranks[name]
        # In the middle of its step a rank is uniform up to 1 / (2 draws).
        shares = (ranks + 0.5) / (self.num_draws + 1)
        least = min(scipy.stats.kstest(unit, "uniform").pvalue for unit in shares.T)
        return float(min(1.0, least * ranks.shape[1]))

    def _held(self, name: str, share: float) -> np.ndarray:
        ranks, count = self.ranks[name], self.num_draws + 1
        if name == JOINT:
            return ranks >= (1 - share) * count
        outside = (1 - share) / 2 * count
        return (ranks >= outside) & (ranks < count - outside)


def calibration(
    model: Model,
    num_data: int = 1000,
    *,
    key: PRNGKey,
    resampled: bool = False,
    num_draws: int = DRAWS,
) -> Calibration:
    """Ranks of true latents among draws of q(z | x), over data simulated from the model.

    Args:
        model: of continuous latents, with `sample_data`.
        num_data: how many data to simulate.
        key: a random key, consumed here; by the same one the data are the same, resampled or not.
        resampled: take, instead of draws of q, draws resampled among a thousand of them by their
            importance weights: nearer to the posterior, as far as the weights allow.
        num_draws: among which the truth is ranked.

    Raises:
        InputError: discrete latents, whose ranks are ties, or a model that cannot draw data.

    References: Talts, Betancourt, Simpson, Vehtari & Gelman 2018, Validating Bayesian inference
    algorithms with simulation-based calibration.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0), offset=0.0)
    >>> found = calibration(model, 50, key=jax.random.key(1))
    >>> {name: ranks.shape for name, ranks in found.ranks.items()}
    {'layer 1': (50, 2), 'joint': (50, 1)}
    """
    check_count("num_data", num_data)
    check_count("num_draws", num_draws)
    if not model.inference.is_reparameterized:
        raise InputError(
            "expected continuous latents for calibration, which ranks them; got discrete ones."
        )
    data_key, draw_key = jax.random.split(checked_key(key))
    z, x = simulated(model, num_data, key=data_key)
    params, static = eqx.partition(model, eqx.is_array)
    keys = jax.random.split(draw_key, num_data)
    pool = max(_POOL, num_draws) if resampled else num_draws
    size = max(1, min(num_data, _ROWS // pool))
    found = []
    for start in range(0, num_data, size):
        rows = np.arange(start, start + size)
        rows = np.where(rows < num_data, rows, start)  # filled up: one program for all blocks
        of_rows = jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), (z, x))
        kinds = (pool, num_draws if resampled else 0)
        found.append(jax.tree.map(np.asarray, _ranks(params, *of_rows, keys[rows], static, kinds)))
    joined = [np.concatenate(parts)[:num_data] for parts in zip(*found, strict=True)]
    names = [*(f"layer {depth}" for depth in range(1, len(joined))), JOINT]
    return Calibration(dict(zip(names, joined, strict=True)), num_draws)


@partial(jax.jit, static_argnames=("static", "kinds"))
def _ranks(params, z, x, keys, static, kinds: tuple[int, int]):
    """Ranks `[B, U]` of each layer, then of log p(x, z) `[B, 1]`."""
    model, (pool, chosen) = eqx.combine(params, static), kinds
    generative, inference = model.generative, model.inference

    def of_datum(z, x, key):
        context = inference.encode(x)
        draw_key, choice_key = jax.random.split(key)
        draws = jax.vmap(lambda key: inference.sample(context, key))(
            jax.random.split(draw_key, pool)
        )
        log_p = jax.vmap(lambda z: generative.log_prob(x, z))(draws)
        if chosen:
            log_q = jax.vmap(lambda z: inference.log_prob(context, z))(draws)
            weights = normalize_weights(log_p - log_q)
            places = jax.random.choice(choice_key, pool, (chosen,), p=weights)
            draws, log_p = jax.tree.map(lambda leaf: leaf[places], (draws, log_p))
        below = jax.tree.map(lambda d, true: jnp.sum(d < true, axis=0).reshape(-1), draws, z)
        joint = jnp.sum(log_p < generative.log_prob(x, z))
        return [*jax.tree.leaves(below), joint[None]]

    return jax.vmap(of_datum)(z, x, keys)
