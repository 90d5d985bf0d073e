"""Signal-to-noise ratios of gradient estimates, streamed: memory does not grow with the draws."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from elbax._checks import check_fits
from elbax._devices import everywhere, mesh_for, parted, spread
from elbax._door import checked
from elbax._errors import InputError
from elbax._types import Data, PRNGKey, PyTree
from elbax.evaluation import ratios
from elbax.evaluation.ratios import DIRECTED_BINS, NUM_BINS, Directed, Ratio, Sums
from elbax.gradients import check_latents, value_and_grad
from elbax.models.interface import Model
from elbax.objectives import Objective

NETWORKS = ("generative", "inference")
_MOST_AT_ONCE = 64  # draws of one batched call


@dataclass(frozen=True)
class SNR:
    """What `snr` found of one objective.

    Attributes:
        snr: per group, "generative", "inference" and their layers ("inference/encoder.loc").
        dsnr: the same, directed: the mean of |parallel part| / |orthogonal part| of a draw with
            respect to the mean gradient; NaN for a group of fewer than three parameters.
        cosine: of the mean gradient with the reference's, per group; of the mean over all draws.
        bias_z: per group, root mean square over parameters of (mean - reference mean) in standard
            errors: about 1 where there is no bias.
        variance: per group, the trace of the covariance over the reference's.
        mean: the mean gradient per parameter, `[P]` per network.
        sd: the standard deviation per parameter, `[P]` per network.
        num_draws: how many draws, as asked for.

    >>> ratios = {name: Ratio(0.5, 0.4, 0.6, 0.01, 0.02) for name in (*NETWORKS, "inference/loc")}
    >>> SNR(ratios, {}, {}, {}, {}, {}, {}, 64)
    SNR(64 draws, 3 groups of parameters, ± standard error)
      generative 0.500 ± 0.020, inference 0.500 ± 0.020
    >>> from elbax.methods import iwae
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> found = snr(iwae(8), model, jnp.zeros((5, 3)), key=jax.random.key(1), num_draws=64)
    >>> found.num_draws, bool(found.snr["inference"].low <= found.snr["inference"].high)
    (64, True)
    """

    snr: dict[str, Ratio]
    dsnr: dict[str, Ratio]
    cosine: dict[str, float]
    bias_z: dict[str, float]
    variance: dict[str, float]
    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]
    num_draws: int

    def __repr__(self) -> str:
        """The ratios of the networks, rather than the gradients."""
        found = {name: self.snr[name] for name in NETWORKS if name in self.snr}
        shown = [f"{name} {r.value:.3f} ± {r.standard_error:.3f}" for name, r in found.items()]
        groups = f"{len(self.snr)} groups of parameters"
        return f"SNR({self.num_draws} draws, {groups}, ± standard error)\n  {', '.join(shown)}"


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
    keys serve every objective, so that objectives of equal sample counts share their draws. Draw i
    is the same whatever the number of draws, up to rounding. A call compiles nothing where one
    before it had models and objectives of the same structure, data of the same shape and as many
    draws; their numbers may differ. On several devices (`elbax.limit_devices`) each draws
    other ones of the 16 bins by which errors are found: the numbers are those of one device within
    rounding, and the same bits for any number of devices from 2 on.

    Args:
        objectives: one objective, or several by name.
        model: the model, as it stands.
        x: data `[B, *event]`.
        key: a random key, consumed here.
        num_draws: N, at least 32.
        reference: the name of the objective whose mean gradient and variance the others are held
            against; the first if omitted.
        progress: told the fraction done.

    Returns:
        An `SNR` for one objective, or one per name.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    eq. 5 (SNR) and eq. 12 (DSNR).

    >>> from elbax.methods import iwae
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> found = snr(iwae(8), model, jnp.zeros((5, 3)), key=jax.random.key(1), num_draws=64)
    >>> sorted(found.snr)[:2]
    ['generative', 'generative/bias']
    """
    named = objectives if isinstance(objectives, dict) else {"": objectives}
    x, key = checked(model, x, key)
    _check(named, model, num_draws, reference)
    for objective in named.values():
        size = objective.num_samples * x.size
        check_fits(f"{objective.num_samples} samples of each of {len(x)} data", 4 * size)
    # Objectives of equal sample counts share one program, and with it their draws.
    counts = list(dict.fromkeys(objective.num_samples for objective in named.values()))
    drawn = {}
    for place, count in enumerate(counts):

        def told(done: float, place: int = place) -> None:
            if progress is not None:
                progress((place + done) / len(counts))

        together = {name: o for name, o in named.items() if o.num_samples == count}
        drawn |= _draw(together, model, x, key, num_draws, told)
    groups = _groups(model)
    against = drawn[reference or next(iter(named))]
    split = _size(model.generative)
    found = {name: _summary(one, against, groups, split) for name, one in drawn.items()}
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
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> x, key = jnp.zeros((5, 3)), jax.random.key(1)
    >>> gradient_draws(iwae(8), model, x, key=key, num_draws=7, parameters=[0, 13]).shape
    (7, 2)
    """
    if num_draws < 1:
        raise InputError(f"expected num_draws >= 1; got {num_draws}.")
    check_latents(objective, model)
    (x, key), size = checked(model, x, key), _size(model)
    chosen = jnp.arange(size) if parameters is None else jnp.asarray(parameters)
    arrays, static = _parts(model, (objective,))
    at_once = min(num_draws, _at_once(objective.num_samples * len(x), size))
    numbers = jnp.arange(num_draws)
    return np.asarray(_every(arrays, x, key, numbers, chosen, static=static, at_once=at_once))


# ------------------------------------------------------------------ drawing


class _Moments(NamedTuple):
    """Welford's: number of draws, mean and sum of squared deviations, `[P]`."""

    draws: Array
    mean: Array
    square: Array


class _Drawn(NamedTuple):
    """Moments per bin, and the directed ratios' means per late bin and group."""

    moments: ratios.Moments
    directed: dict[str, Directed]
    num_draws: int


def _draw(named, model: Model, x, key, num_draws: int, told) -> dict[str, _Drawn]:
    """Every bin in turn; the second half of the bins sees the mean direction of the first."""
    groups, objectives = _groups(model), tuple(named.values())
    arrays, static = _parts(model, objectives)
    size = _size(model)
    at_once = _at_once(objectives[0].num_samples * len(x), len(objectives) * size)
    # Equal chunks of the largest bin, so that a last one is never mostly padding.
    largest = -(-num_draws // NUM_BINS)
    at_once = -(-largest // -(-largest // at_once))
    ends = [num_draws * number // NUM_BINS for number in range(NUM_BINS + 1)]
    direction = jnp.zeros((len(objectives), size))
    bins, late = [], []
    compute = partial(_bins, arrays, x, key, static=static, at_once=at_once)
    first = NUM_BINS - DIRECTED_BINS
    spans = [(*span, int(at >= first)) for at, span in enumerate(itertools.pairwise(ends))]
    for moments, _ in compute(spans[:first], direction):
        bins.append(moments)
        told(len(bins) / NUM_BINS)
    seen = sum(moments.mean * (moments.draws / ends[first])[:, None] for moments in bins)
    for (moments, along), (start, end, _) in zip(
        compute(spans[first:], jnp.asarray(seen)), spans[first:], strict=True
    ):
        bins.append(moments)
        late.append(np.asarray(along, np.float64) / (end - start))
        told(len(bins) / NUM_BINS)
    stacked = ratios.Moments(
        *(
            np.stack([np.asarray(part) for part in parts], axis=1)
            for parts in zip(*bins, strict=True)
        )
    )
    along = np.stack(late, axis=-1)  # [objectives, 3, groups, bins]
    return {
        name: _Drawn(
            ratios.Moments(*(part[place] for part in stacked)),
            {group: Directed(*along[place, :, i]) for i, group in enumerate(groups)},
            num_draws,
        )
        for place, name in enumerate(named)
    }


def _parts(model: Model, objectives: tuple[Objective, ...]) -> tuple[PyTree, PyTree]:
    """The numbers that a program is handed, and the structure that it is compiled for."""
    numbers = eqx.partition(objectives, eqx.is_inexact_array_like)  # beta, alpha, the KL weight
    arrays = eqx.partition(model, eqx.is_array)
    return (arrays[0], numbers[0]), (arrays[1], numbers[1])


def _bins(arrays, x, key, spans, direction, *, static, at_once: int):
    """`_bin` of each span, one after the other or as many at a time as there are devices."""
    mesh = mesh_for(len(spans))
    if mesh is None:
        for span in spans:
            span = jnp.asarray(span)
            found = _bin(arrays, x, key, span, direction, static=static, at_once=at_once)
            yield jax.block_until_ready(found)
        return
    arrays, x, key, direction = everywhere((arrays, x, key, direction), mesh)
    for start in range(0, len(spans), mesh.size):
        some = spans[start : start + mesh.size]
        # The last time some devices may have nothing to do: a bin without a draw.
        filled = parted(jnp.asarray(some + [(0, 0, 0)] * (mesh.size - len(some))), mesh)
        found = _bins_at_once(
            arrays, x, key, filled, direction, static=static, at_once=at_once, mesh=mesh
        )
        found = jax.tree.map(np.asarray, found)
        yield from (jax.tree.map(lambda leaf: leaf[i], found) for i in range(len(some)))  # noqa: B023


@partial(jax.jit, static_argnames=("static", "at_once", "mesh"))
def _bins_at_once(arrays, x, key, spans, direction, *, static, at_once: int, mesh):
    """A bin on each device."""

    def own(arrays, x, key, spans, direction):
        found = _bin(arrays, x, key, spans[0], direction, static=static, at_once=at_once)
        return jax.tree.map(lambda leaf: leaf[None], found)

    split = (False, False, False, True, False)
    return spread(own, mesh, split=split)(arrays, x, key, spans, direction)


@partial(jax.jit, static_argnames=("static", "at_once"))
def _bin(arrays, x, key, span, direction, *, static, at_once: int):
    """Moments of the draws from `span[0]` to before `span[1]`; along the direction if `span[2]`."""
    model, objectives = eqx.combine(arrays, static)
    start, end, is_late = span
    groups = _groups(model)

    def chunk(index, carry):
        moments, directed = carry
        numbers = start + index * at_once + jnp.arange(at_once)
        one = partial(_gradients, objectives, model, x, key)
        draws, is_real = jax.vmap(one, out_axes=1)(numbers), numbers < end

        def along():
            return jax.vmap(partial(_directed, groups=groups), (0, 0, None))(
                draws, direction, is_real
            )

        directed += jax.lax.cond(is_late > 0, along, lambda: jnp.zeros_like(directed))
        return jax.vmap(_merged, (0, 0, None))(moments, draws, is_real), directed

    zeros = jnp.zeros_like(direction)
    empty = (_Moments(zeros[:, 0], zeros, zeros), jnp.zeros((len(direction), 3, len(groups))))
    return jax.lax.fori_loop(0, -(-(end - start) // at_once), chunk, empty)


@partial(jax.jit, static_argnames=("static", "at_once"))
def _every(arrays, x, key, numbers, chosen, *, static, at_once: int) -> Float[Array, "n p"]:
    """The chosen parameters' gradient in every draw."""
    model, objectives = eqx.combine(arrays, static)

    def one(number):
        return _gradients(objectives, model, x, key, number)[0][chosen]

    return jax.lax.map(one, numbers, batch_size=at_once)


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


def _size(part: PyTree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(part, eqx.is_inexact_array)))


def _at_once(num_rows: int, num_values: int) -> int:
    """Draws in one batched call: many for a toy, few where a single draw fills the caches.

    Args:
        num_rows: samples times data of a draw.
        num_values: gradient entries that a draw leaves.
    """
    return int(np.clip(min(2**14 // num_rows, 2**21 // num_values), 1, _MOST_AT_ONCE))


def _merged(moments: _Moments, draws: Float[Array, "c p"], is_real: Bool[Array, " c"]) -> _Moments:
    """Welford's moments with a chunk's real draws merged in (Chan, Golub & LeVeque 1979)."""
    count, is_real = jnp.sum(is_real).astype(draws.dtype), is_real[:, None]
    mean = jnp.sum(jnp.where(is_real, draws, 0), axis=0) / count
    square = jnp.sum(jnp.where(is_real, (draws - mean) ** 2, 0), axis=0)
    total = moments.draws + count
    change = mean - moments.mean
    return _Moments(
        total,
        moments.mean + change * (count / total),
        moments.square + square + change**2 * (moments.draws * count / total),
    )


def _directed(draws, direction, is_real, *, groups) -> Float[Array, "3 g"]:
    """Sums over real draws of |w| / o, w / o and 1 / o: w along the direction, o across it."""
    leaves = sorted({part for parts in groups.values() for part in parts})
    along = jnp.stack([draws[:, a:b] @ direction[a:b] for a, b in leaves])
    squares = jnp.stack([jnp.sum(draws[:, a:b] ** 2, axis=1) for a, b in leaves])
    lengths = jnp.stack([jnp.sum(direction[a:b] ** 2) for a, b in leaves])
    belongs = jnp.array([[part in parts for part in leaves] for parts in groups.values()], float)
    length = jnp.sqrt(belongs @ lengths)[:, None]
    parallel = (belongs @ along) / jnp.where(length > 0, length, 1)
    inverse = jax.lax.rsqrt(jnp.maximum(belongs @ squares - parallel**2, 1e-30))
    found = jnp.stack([jnp.abs(parallel) * inverse, parallel * inverse, inverse])
    return jnp.sum(jnp.where(is_real, found, 0), axis=2)


def layers(model: Model) -> list[str]:
    """The names of a model's layers, "generative/decoder.logits", in the order of its arrays.

    >>> from elbax.models import linear_gaussian
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


def _summary(drawn: _Drawn, reference: _Drawn, groups, split: int) -> SNR:
    """`split` is where the inference network begins in the raveled gradient."""
    once = np.ones((1, NUM_BINS))
    mean, variance = (found[0] for found in ratios.pooled(drawn.moments, once))
    aim, spread = (found[0] for found in ratios.pooled(reference.moments, once))
    error = np.sqrt(variance / drawn.num_draws + spread / reference.num_draws)
    z = np.where(error > 0, (mean - aim) / np.where(error > 0, error, 1), 0)
    cosine, bias_z, shares, found, directed = {}, {}, {}, {}, {}
    leaves = _by_leaf(drawn.moments, groups)
    for name, parts in groups.items():
        at = np.concatenate([np.arange(a, b) for a, b in parts])
        lengths = np.linalg.norm(mean[at]) * np.linalg.norm(aim[at])
        cosine[name] = float(mean[at] @ aim[at] / lengths) if lengths > 0 else float("nan")
        bias_z[name] = float(np.sqrt(np.mean(z[at] ** 2)))
        shares[name] = float(variance[at].sum() / max(spread[at].sum(), 1e-300))
        sums, products = (
            list(kind) for kind in zip(*(leaves[part] for part in parts), strict=True)
        )
        found[name] = ratios.snr_ratio(reduce(ratios.added, sums), drawn.num_draws)
        directed[name] = ratios.directed_ratio(
            drawn.directed[name], np.sum(products, axis=0), len(at)
        )
    return SNR(
        snr=found,
        dsnr=directed,
        cosine=cosine,
        bias_z=bias_z,
        variance=shares,
        mean={"generative": mean[:split], "inference": mean[split:]},
        sd={"generative": np.sqrt(variance[:split]), "inference": np.sqrt(variance[split:])},
        num_draws=drawn.num_draws,
    )


def _by_leaf(moments, groups) -> dict[tuple[int, int], tuple[Sums, np.ndarray]]:
    """What adds up to every group, of each array of the model."""
    leaves = {part for parts in groups.values() for part in parts}
    return {
        part: (ratios.sums(moments.part(*part)), ratios.gram(moments.part(*part)))
        for part in leaves
    }


def _check(named, model: Model, num_draws: int, reference: str | None) -> None:
    if not named:
        raise InputError("expected at least one objective; got none.")
    if num_draws < 2 * NUM_BINS:
        raise InputError(f"expected num_draws >= {2 * NUM_BINS}; got {num_draws}.")
    if reference is not None and reference not in named:
        raise InputError(f"expected the reference among {list(named)}; got '{reference}'.")
    for objective in named.values():
        check_latents(objective, model)
