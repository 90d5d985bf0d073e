"""Signal-to-noise ratios of gradient estimates, streamed: memory does not grow with the draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax._checks import check_fits
from elbax._errors import InputError
from elbax._types import Data, PRNGKey, PyTree
from elbax.data.checks import refuse_masked
from elbax.gradients import check_latents, value_and_grad
from elbax.models.interface import Model
from elbax.objectives import Objective

NUM_BINS = 16  # draws fall into so many bins; intervals come from resampling whole bins
_NUM_RESAMPLED = 200
NETWORKS = ("generative", "inference")


@dataclass(frozen=True)
class Ratio:
    """A ratio with a bootstrap interval and what pure noise would give.

    Attributes:
        value: mean over parameters of `|E D| / sd(D)` (SNR), or the directed one (DSNR).
        low: 2.5 % point of the bootstrap.
        high: 97.5 % point.
        floor: its expected value for draws without any signal; values near it are noise.
    """

    value: float
    low: float
    high: float
    floor: float

    @property
    def is_signal(self) -> bool:
        """Whether the value is more than the floor explains: twice it, and its interval above it.

        >>> Ratio(0.05, 0.04, 0.06, floor=0.01).is_signal
        True
        """
        return self.value > 2 * self.floor and self.low > self.floor

    @property
    def above_floor(self) -> float:
        """The value with the floor taken out in quadrature, for slopes; 0 at the floor."""
        return float(np.sqrt(max(self.value**2 - self.floor**2, 0.0)))


@dataclass(frozen=True)
class SNR:
    """What `snr` found of one objective.

    Attributes:
        snr: per group, "generative", "inference" and their layers ("inference/encoder.loc").
        dsnr: the same, directed: the mean of |parallel part| / |orthogonal part| of a draw with
            respect to the mean gradient.
        cosine: of the mean gradient with the reference's, per group; of the mean over all draws.
        bias_z: per group, root mean square over parameters of (mean - reference mean) in standard
            errors: about 1 where there is no bias.
        variance: per group, the trace of the covariance over the reference's.
        mean: the mean gradient per parameter, `[P]` per network.
        sd: the standard deviation per parameter, `[P]` per network.
        num_draws: how many draws.
        resampled: per group, the bootstrap's values of `snr`, `[200]`.
    """

    snr: dict[str, Ratio]
    dsnr: dict[str, Ratio]
    cosine: dict[str, float]
    bias_z: dict[str, float]
    variance: dict[str, float]
    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]
    num_draws: int
    resampled: dict[str, np.ndarray]


class _Moments(NamedTuple):
    """Welford's: number of draws, mean and sum of squared deviations, `[P]`."""

    draws: Array | np.ndarray
    mean: Array | np.ndarray
    square: Array | np.ndarray


def snr(
    objectives: Objective | dict[str, Objective],
    model: Model,
    x: Data,
    *,
    key: PRNGKey,
    num_draws: int = 1000,
    reference: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> SNR | dict[str, SNR]:
    """The signal-to-noise ratio of every parameter's gradient, and of whole networks and layers.

    Every draw is the gradient of the mean over `x` with fresh noise; the data stay fixed. The same
    keys serve every objective, so that objectives of equal sample counts share their draws.

    Args:
        objectives: one objective, or several by name.
        model: the model, as it stands.
        x: data `[B, *event]`.
        key: a random key, consumed here.
        num_draws: N; rounded up to whole batches.
        reference: the name of the objective whose mean gradient and variance the others are held
            against; the first if omitted.
        progress: told the fraction done.

    Returns:
        An `SNR` for one objective, or one per name.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    eq. 5 (SNR) and eq. 12 (DSNR).

    >>> from elbax.methods import iwae
    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> found = snr(iwae(8), model, jnp.zeros((5, 3)), key=jax.random.key(1), num_draws=64)
    >>> sorted(found.snr)[:2]
    ['generative', 'generative/bias']
    """
    named = objectives if isinstance(objectives, dict) else {"": objectives}
    _check(named, model, num_draws, reference)
    for objective in named.values():
        size = objective.num_samples * x.size
        check_fits(f"{objective.num_samples} samples of each of {len(x)} data", 4 * size)
    refuse_masked(x, "x")
    # Objectives of equal sample counts share one program, and with it their draws.
    counts = list(dict.fromkeys(objective.num_samples for objective in named.values()))
    drawn = {}
    for place, count in enumerate(counts):

        def told(done: float, place: int = place) -> None:
            if progress is not None:
                progress((place + done) / len(counts))

        together = {name: o for name, o in named.items() if o.num_samples == count}
        drawn |= _draw(together, model, jnp.asarray(x), key, num_draws, told)
    groups = _groups(model)
    against = drawn[reference or next(iter(named))]
    found = {name: _summary(one, against, groups) for name, one in drawn.items()}
    return found if isinstance(objectives, dict) else found[""]


def gradient_draws(
    objective: Objective,
    model: Model,
    x: Data,
    *,
    key: PRNGKey,
    num_draws: int,
    parameters: Sequence[int] | None = None,
) -> np.ndarray:
    """Every draw of some parameters' gradient, `[num_draws, len(parameters)]`, for histograms.

    Parameters are numbered as they lie in the raveled model, the generative network first; all of
    them if omitted. Draw i is that of `snr` with the same key.

    >>> from elbax.methods import iwae
    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> x, key = jnp.zeros((5, 3)), jax.random.key(1)
    >>> gradient_draws(iwae(8), model, x, key=key, num_draws=7, parameters=[0, 13]).shape
    (7, 2)
    """
    params, static = eqx.partition(model, eqx.is_inexact_array)
    chosen = slice(None) if parameters is None else jnp.asarray(parameters)

    @jax.jit
    def run(params, numbers):
        full = eqx.combine(params, static)

        def one(number):
            return _gradients([objective], full, jnp.asarray(x), key, number)[0][chosen]

        at_once = _at_once(objective.num_samples * len(x), _flat(params).size)
        return jax.lax.map(one, numbers, batch_size=at_once)

    return np.asarray(run(params, jnp.arange(num_draws)))


# ------------------------------------------------------------------ drawing


class _Drawn(NamedTuple):
    """Moments per bin `[NUM_BINS, P]`, and the directed ratios' sums per bin and group."""

    moments: _Moments
    directed: dict[str, np.ndarray]
    num_draws: int


def _draw(named, model: Model, x, key, num_draws: int, told) -> dict[str, _Drawn]:
    """Every bin in turn; the second half of the bins sees the mean direction of the first."""
    params, static = eqx.partition(model, eqx.is_inexact_array)
    groups, objectives = _groups(model), list(named.values())
    num_values = len(objectives) * _flat(params).size
    at_once = _at_once(objectives[0].num_samples * len(x), num_values)
    num_chunks = -(-num_draws // (NUM_BINS * at_once))

    @jax.jit
    def run(params, number, direction):
        one = partial(_gradients, objectives, eqx.combine(params, static), x, key)

        def chunk(index, carry):
            moments, directed = carry
            draws = jax.vmap(one, out_axes=1)(first + index * at_once + jnp.arange(at_once))
            along = jax.vmap(partial(_directed, groups=groups))(draws, direction)
            return jax.vmap(_merged)(moments, draws), _add(directed, along)

        first = number * num_chunks * at_once
        zeros = jnp.zeros(direction.shape)
        empty = _Moments(zeros[:, 0], zeros, zeros)
        return jax.lax.fori_loop(0, num_chunks, chunk, (empty, dict.fromkeys(groups, zeros[:, 0])))

    direction = jnp.zeros((len(objectives), _flat(params).size))
    bins, directed = [], []
    for number in range(NUM_BINS):
        if number == NUM_BINS // 2:
            direction = jnp.mean(jnp.stack([moments.mean for moments in bins]), axis=0)
        moments, along = jax.block_until_ready(run(params, jnp.asarray(number), direction))
        bins.append(moments)
        directed.append(along)
        told((number + 1) / NUM_BINS)
    per_bin = num_chunks * at_once
    stacked = _Moments(*(np.stack([np.asarray(m[i]) for m in bins], axis=1) for i in range(3)))
    late = directed[NUM_BINS // 2 :]
    return {
        name: _Drawn(
            _Moments(*(part[place] for part in stacked)),
            {group: np.array([float(d[group][place]) for d in late]) / per_bin for group in groups},
            NUM_BINS * per_bin,
        )
        for place, name in enumerate(named)
    }


def _gradients(
    objectives: Sequence[Objective], model: Model, x, key: PRNGKey, number
) -> Float[Array, "o p"]:
    """The gradients of draw `number`, raveled, all of the same samples of z."""
    draw_key = jax.random.fold_in(key, number)
    return jnp.stack(
        [_flat(value_and_grad(objective)(model, x, key=draw_key)[1]) for objective in objectives]
    )


def _flat(tree: PyTree) -> Float[Array, " p"]:
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def _at_once(num_rows: int, num_values: int) -> int:
    """Draws in one batched call: many for a toy, one where a single draw fills the caches.

    Args:
        num_rows: samples times data of a draw.
        num_values: gradient entries that a draw leaves.
    """
    return int(np.clip(min(2**14 // num_rows, 2**20 // num_values), 1, 64))


def _merged(moments: _Moments, draws: Float[Array, "c p"]) -> _Moments:
    """Welford's moments with a chunk of draws merged in (Chan, Golub & LeVeque 1979)."""
    count, mean = draws.shape[0], jnp.mean(draws, axis=0)
    square = jnp.sum((draws - mean) ** 2, axis=0)
    total = moments.draws + count
    change = mean - moments.mean
    return _Moments(
        total,
        moments.mean + change * (count / total),
        moments.square + square + change**2 * (moments.draws * count / total),
    )


def _directed(draws, direction, groups) -> dict[str, Float[Array, ""]]:
    """The sum over draws of |parallel| / |orthogonal|, per group."""
    ratios = {}
    for name, parts in groups.items():
        along = sum(jnp.sum(draws[:, a:b] * direction[a:b], axis=1) for a, b in parts)
        squares = sum(jnp.sum(draws[:, a:b] ** 2, axis=1) for a, b in parts)
        length = sum(jnp.sum(direction[a:b] ** 2) for a, b in parts)
        parallel = along**2 / jnp.where(length > 0, length, 1)
        orthogonal = jnp.maximum(squares - parallel, 1e-30)
        ratios[name] = jnp.sum(jnp.sqrt(parallel / orthogonal))
    return ratios


def _add(a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(jnp.add, a, b)


def layers(model: Model) -> list[str]:
    """The names of a model's layers, "generative/decoder.logits", in the order of its arrays.

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> layers(linear_gaussian(3, 2, key=jax.random.key(0)))[:2]
    ['generative/prior_mean', 'generative/weight']
    """
    return [name for name in _groups(model) if name not in NETWORKS]


def _groups(model: Model) -> dict[str, list[tuple[int, int]]]:
    """Where each network and each layer lies in the raveled gradient: name -> [(start, end)]."""
    paths, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(model, eqx.is_inexact_array))
    groups: dict[str, list[tuple[int, int]]] = {name: [] for name in NETWORKS}
    start = 0
    for path, leaf in paths:
        network, *inner = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
        if "standard" in inner:  # the constants of a standardized model are not trained
            start += leaf.size
            continue
        layer = f"{network}/{'.'.join(inner[:-1] or inner)}"
        for name in (network, layer):
            groups.setdefault(name, []).append((start, start + leaf.size))
        start += leaf.size
    return {name: parts for name, parts in groups.items() if parts}


# ------------------------------------------------------------------ summing up


def _summary(drawn: _Drawn, reference: _Drawn, groups) -> SNR:
    mean, variance = _pooled(drawn.moments, np.ones((1, NUM_BINS)))
    reference_mean, reference_variance = _pooled(reference.moments, np.ones((1, NUM_BINS)))
    mean, variance, aim, spread = mean[0], variance[0], reference_mean[0], reference_variance[0]
    error = np.sqrt(variance / drawn.num_draws + spread / reference.num_draws)
    z = np.where(error > 0, (mean - aim) / np.where(error > 0, error, 1), 0)
    per_parameter = _ratio(mean, variance)
    resampled = _resampled(drawn.moments, groups)
    cosine, bias_z, shares, ratios, directed = {}, {}, {}, {}, {}
    for name, parts in groups.items():
        at = np.concatenate([np.arange(a, b) for a, b in parts])
        lengths = np.linalg.norm(mean[at]) * np.linalg.norm(aim[at])
        cosine[name] = float(mean[at] @ aim[at] / lengths) if lengths > 0 else float("nan")
        bias_z[name] = float(np.sqrt(np.mean(z[at] ** 2)))
        shares[name] = float(variance[at].sum() / max(spread[at].sum(), 1e-300))
        low, high = np.quantile(resampled[name], [0.025, 0.975])
        floor = float(np.sqrt(2 / np.pi / drawn.num_draws))
        value = float(per_parameter[at].mean())
        ratios[name] = Ratio(value, float(low), float(high), floor)
        directed[name] = _directed_ratio(drawn.directed[name], len(at))
    size = groups["generative"][-1][1] if "generative" in groups else 0
    return SNR(
        snr=ratios,
        dsnr=directed,
        cosine=cosine,
        bias_z=bias_z,
        variance=shares,
        mean={"generative": mean[:size], "inference": mean[size:]},
        sd={"generative": np.sqrt(variance[:size]), "inference": np.sqrt(variance[size:])},
        num_draws=drawn.num_draws,
        resampled=resampled,
    )


def _pooled(moments: _Moments, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance `[R, P]` over bins taken `weights [R, NUM_BINS]` times, in float64."""
    counts = np.asarray(moments.draws, np.float64)
    share = weights * counts
    total = share.sum(axis=1, keepdims=True)
    bins = np.asarray(moments.mean, np.float64)
    center = bins.mean(axis=0)
    offset = bins - center
    mean = share @ offset / total
    within = weights @ np.asarray(moments.square, np.float64)
    between = share @ offset**2 - total * mean**2
    return mean + center, np.maximum(within + between, 0) / (total - 1)


def _ratio(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """|mean| / sd; a parameter without noise and without signal (never used) has 0."""
    return np.abs(mean) / np.sqrt(np.where(variance > 0, variance, np.inf))


def _resampled(moments: _Moments, groups) -> dict[str, np.ndarray]:
    """The bootstrap's values of each group's SNR, whole bins resampled, a slice at a time."""
    rng = np.random.default_rng(0)
    weights = rng.multinomial(NUM_BINS, np.full(NUM_BINS, 1 / NUM_BINS), size=_NUM_RESAMPLED)
    weights = weights.astype(np.float64)
    sums = {}
    for name, parts in groups.items():
        if name in NETWORKS:  # the sum of its layers
            continue
        sums[name] = np.zeros(_NUM_RESAMPLED)
        for a, b in parts:
            for start in range(a, b, 4096):
                cut = slice(start, min(start + 4096, b))
                part = _Moments(moments.draws, moments.mean[:, cut], moments.square[:, cut])
                sums[name] += _ratio(*_pooled(part, weights)).sum(axis=1)
    for network in NETWORKS:
        sums[network] = sum(v for name, v in sums.items() if name.startswith(f"{network}/"))
    sizes = {name: sum(b - a for a, b in parts) for name, parts in groups.items()}
    return {name: sums[name] / sizes[name] for name in groups}


def _directed_ratio(per_bin: np.ndarray, num_parameters: int) -> Ratio:
    rng = np.random.default_rng(0)
    picked = per_bin[rng.integers(len(per_bin), size=(_NUM_RESAMPLED, len(per_bin)))].mean(axis=1)
    low, high = np.quantile(picked, [0.025, 0.975])
    # A draw without signal has a standard normal share along any direction.
    floor = float(np.sqrt(2 / np.pi / max(num_parameters - 1, 1)))
    return Ratio(float(per_bin.mean()), float(low), float(high), floor)


def slope(
    sizes: Sequence[int], ratios: Sequence[Ratio], resampled: Sequence[np.ndarray]
) -> tuple[float, float, int]:
    """The slope of log SNR against log size, over the points above the noise floor.

    Args:
        sizes: K or M.
        ratios: one for each.
        resampled: the bootstrap's values for each, `[200]`, from which the slope's error comes.

    Returns:
        Slope, its standard error, and how many points it is of; NaN where fewer than 3 are above
        the floor.
    """
    above = [i for i, ratio in enumerate(ratios) if ratio.is_signal]
    if len(above) < 3:
        return float("nan"), float("nan"), len(above)
    log_size = np.log([sizes[i] for i in above])
    logs = np.log([ratios[i].above_floor for i in above])
    floors = np.array([ratios[i].floor for i in above])[:, None]
    # The bootstrap's own bias, an added variance of the mean, leaves its spread what it is.
    drawn = np.stack([resampled[i] for i in above])
    spread = np.log(np.maximum(drawn, floors)).std(axis=1, ddof=1) * (
        np.array([ratios[i].value / ratios[i].above_floor for i in above]) ** 2
    )
    weights = 1 / np.maximum(spread, 1e-3) ** 2
    center = np.average(log_size, weights=weights)
    spacing = np.sum(weights * (log_size - center) ** 2)
    found = np.sum(weights * (log_size - center) * logs) / spacing
    return float(found), float(1 / np.sqrt(spacing)), len(above)


def _check(named, model: Model, num_draws: int, reference: str | None) -> None:
    if not named:
        raise InputError("expected at least one objective; got none.")
    if num_draws < 2 * NUM_BINS:
        raise InputError(f"expected num_draws >= {2 * NUM_BINS}; got {num_draws}.")
    if reference is not None and reference not in named:
        raise InputError(f"expected the reference among {list(named)}; got '{reference}'.")
    for objective in named.values():
        check_latents(objective, model)
