r"""Annealed importance sampling from the encoder, and bidirectional Monte Carlo.

A chain starts at q(z | x) and goes along `q(z | x)^(1 - b) p(x, z)^b` to the posterior; what it
gathers is a weight whose mean is p(x), however badly the chain mixes. From an exact draw of the
posterior and backwards the mean is 1 / p(x): that is an upper bound, and such a draw is at hand for
data simulated from the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from elbax._checks import check_count, check_fits
from elbax._door import checked, checked_key
from elbax._errors import InputError
from elbax._types import Data, PRNGKey
from elbax.evaluation.likelihood import Estimate, Evaluation, evaluate, mean_and_error
from elbax.evaluation.paths import walks
from elbax.evaluation.posterior import simulated
from elbax.evaluation.reliability import monte_carlo_error
from elbax.models.interface import Model

STEPS, CHAINS = 500, 16
_ROWS = 640  # chains at a time


@dataclass(frozen=True)
class Annealed:
    """Log-weights of annealed chains, and what they say of log p(x), in nats per datum.

    Attributes:
        log_w: `[C, N]`; of forward chains the mean of exp(log_w) is p(x), of backward ones that of
            exp(-log_w) is 1 / p(x).
        acceptance: `[N]`, mean acceptance of the Metropolis steps.
        is_upper: whether the chains went backwards.

    >>> found = Annealed(np.log([[1.0, 2.0], [3.0, 2.0]]), np.ones(2))
    >>> np.exp(found.log_p).round(6).tolist(), found.errors.round(2).tolist()
    ([2.0, 2.0], [0.5, 0.0])
    """

    log_w: np.ndarray
    acceptance: np.ndarray
    is_upper: bool = False

    def __repr__(self) -> str:
        """The mean with its two errors, rather than every chain."""
        what = "upper" if self.is_upper else "lower"
        chains, num_data = self.log_w.shape
        return (
            f"Annealed({what} bound {self.estimate} over {num_data} data, Monte Carlo error "
            f"{self.mc_error:.3f}; {chains} chains, acceptance {self.acceptance.mean():.2f})"
        )

    @property
    def log_p(self) -> np.ndarray:
        """`[N]`: log of the mean weight, in expectation at most log p(x); backwards at least."""
        sign = -1 if self.is_upper else 1
        log_w = sign * self.log_w.astype(np.float64)
        return sign * (np.logaddexp.reduce(log_w, axis=0) - np.log(len(log_w)))

    @property
    def errors(self) -> np.ndarray:
        """The Monte Carlo error `[N]` of each datum, by the delta method; NaN for one chain.

        Backward chains of a datum start at the same draw, so theirs lacks what that draw varies.
        """
        num = len(self.log_w)
        log_w = (-1 if self.is_upper else 1) * self.log_w.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.exp(log_w - np.logaddexp.reduce(log_w, axis=0))
            ess = 1 / np.sum(share**2, axis=0)
            return monte_carlo_error(ess, num) * np.sqrt(np.float64(num) / (num - 1))

    @property
    def finite(self) -> np.ndarray:
        """Which data `[N]` have a finite estimate; the mean is over them."""
        return np.isfinite(self.log_p)

    @property
    def mc_error(self) -> float:
        """That of the mean over the data."""
        known = self.errors[self.finite]
        return float(np.sqrt(np.sum(known**2)) / max(1, len(known)))

    @property
    def estimate(self) -> Estimate:
        """Mean over the finite data, and the standard error over them."""
        return mean_and_error(self.log_p[self.finite])


@dataclass(frozen=True)
class Sandwich:
    """Log p(x) of data simulated from a model, from below and above.

    Attributes:
        lower: forward chains.
        upper: backward ones, each from the draw of z that x was simulated from.
        importance: IWAE-k of the same data.
        x: the data, `[N, *event]`.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> found = bdmc(model, 8, key=jax.random.key(1), steps=8, chains=4, ks=(1, 64))
    >>> bool(found.short("lower").mean <= found.short("upper").mean)
    True
    """

    lower: Annealed
    upper: Annealed
    importance: Evaluation
    x: np.ndarray

    def __repr__(self) -> str:
        """The three means."""
        known = f"log p-hat {self.importance.log_p_hat}"
        return f"Sandwich({self.lower.estimate} <= log p(x) <= {self.upper.estimate}; {known})"

    def short(self, bound: str = "upper") -> Estimate:
        """By how much IWAE at the largest k lies below the `upper` or the `lower` bound, paired.

        In expectation log p(x) is at most the one and at least the other above it: where that of
        the upper bound is near 0, so many samples suffice.
        """
        one = {"upper": self.upper, "lower": self.lower}[bound]
        difference = one.log_p - self.importance.bounds[-1]
        return mean_and_error(difference[np.isfinite(difference)])


def ais(
    model: Model,
    x: Data,
    *,
    key: PRNGKey,
    steps: int = STEPS,
    chains: int = CHAINS,
    block_rows: int = _ROWS,
    progress: Callable[[float], None] | None = None,
) -> Annealed:
    r"""Estimate log p(x) of each datum by annealed importance sampling from q(z | x).

    `log w = \sum_t (b_t - b_{t-1}) (log p(x, z_t) - log q(z_t | x))`, z_1 from q and z_{t+1} from
    z_t by a Hamiltonian Monte Carlo step at b_t. The mean of w is p(x) whatever the steps are, so
    that the log of a mean is a lower bound in expectation, as IWAE-k is. Step sizes are tuned on
    chains of their own, by other keys, and fixed before any chain counts.

    Args:
        model: of normal latents, in any number of layers.
        x: data `[N, *event]`.
        key: a random key, consumed here.
        steps: intervals of the path, T.
        chains: independent chains per datum, C.
        block_rows: chains at a time (data times chains).
        progress: told the fraction done, after each block of data.

    Raises:
        InputError: discrete latents, fewer than 2 steps or 1 chain.

    References: Neal 2001, Annealed importance sampling; Wu, Burda, Salakhutdinov & Grosse 2017, On
    the quantitative analysis of decoder-based generative models, section 2.2 and 3.

    >>> from elbax.models import linear_gaussian
    >>> model, x = linear_gaussian(3, 2, key=jax.random.key(0)), jnp.zeros((2, 3))
    >>> ais(model, x, key=jax.random.key(1), steps=4, chains=2).log_p.shape
    (2,)
    """
    check_annealing(model, steps, chains)
    known, key = checked(model, x, key)
    (found,) = _annealed(model, np.asarray(known), None, key, (steps, chains, block_rows), progress)
    return found


def bdmc(
    model: Model,
    num_data: int = 100,
    *,
    key: PRNGKey,
    steps: int = STEPS,
    chains: int = CHAINS,
    ks: Sequence[int] = (1, 64, 5000),
    block_rows: int = _ROWS,
    progress: Callable[[float], None] | None = None,
) -> Sandwich:
    """Bidirectional Monte Carlo: log p(x) of simulated data, from both sides.

    x and z are drawn from the model together, so that z is an exact draw from p(z | x); backward
    chains start there. Their bound and that of forward chains enclose log p(x) in expectation, and
    IWAE-k of the same data says whether k samples suffice for this model and this encoder.

    Args:
        model: of normal latents, with `sample_data`.
        num_data: how many data to simulate.
        key: a random key, consumed here.
        steps: as for `ais`.
        chains: of either direction, per datum.
        ks: sample counts of the IWAE-k beside them.
        block_rows: as for `ais`.
        progress: told the fraction done.

    Raises:
        InputError: as for `ais`, or a model that cannot draw data.

    References: Grosse, Ghahramani & Adams 2015, Sandwiching the marginal likelihood using
    bidirectional Monte Carlo.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> found = bdmc(model, 8, key=jax.random.key(1), steps=8, chains=4, ks=(1, 64))
    >>> found.upper.log_p.shape
    (8,)
    """
    check_annealing(model, steps, chains)
    check_count("num_data", num_data)
    keys = jax.random.split(checked_key(key), 3)
    z, x = simulated(model, num_data, key=keys[0])
    leaves = [leaf.reshape(num_data, -1) for leaf in jax.tree.leaves(z)]
    raveled, sizes = np.concatenate(leaves, axis=1), (steps, chains, block_rows)
    lower, upper = _annealed(model, x, raveled, keys[1], sizes, progress)
    return Sandwich(lower, upper, evaluate(model, x, key=keys[2], ks=ks), x)


def check_annealing(model: Model, steps: int, chains: int) -> None:
    """Refuse models and numbers that cannot be annealed, before anything is."""
    check_count("steps", steps, 2)
    check_count("chains", chains)
    check_fits(f"{steps} steps of {chains} chains", 64 * (steps + chains))
    if not model.inference.is_reparameterized:
        raise InputError(
            "expected continuous latents for annealed importance sampling, whose steps follow "
            "gradients in z; got discrete ones. Take IWAE-k with more samples."
        )


def _annealed(
    model: Model,
    x: np.ndarray,
    z: np.ndarray | None,
    key: PRNGKey,
    sizes: tuple[int, int, int],
    progress: Callable[[float], None] | None,
) -> list[Annealed]:
    """Chains up and, from z `[N, D]`, down, a block of data at a time."""
    steps, chains, block_rows = sizes
    size = max(1, min(len(x), block_rows // chains))
    found = []
    for start in range(0, len(x), size):
        # The last block is filled up, so that one program serves all blocks.
        rows = np.arange(start, start + size)
        rows = np.where(rows < len(x), rows, start)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(rows))
        exact = None if z is None else jnp.asarray(z[rows])
        found.append(walks(model, jnp.asarray(x[rows]), keys, steps, chains, exact))
        if progress is not None:
            progress(min(1.0, (start + size) / len(x)))
    return [
        Annealed(
            np.concatenate([walk.log_w for walk in parts], axis=1)[:, : len(x)],
            np.concatenate([walk.acceptance.mean(axis=0) for walk in parts])[: len(x)],
            is_upper=place == 1,
        )
        for place, parts in enumerate(zip(*found, strict=True))
    ]
