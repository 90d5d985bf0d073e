"""Signal-to-noise against the number of samples: one line per method, beside what theory predicts.

Claim (Rainforth et al. 2018, theorem 1): the generative network's SNR grows as sqrt(M K); the
inference network's as sqrt(M / K) for the reparameterized IWAE gradient, so that tighter is
worse, and as sqrt(M K) for the ELBO and (Tucker et al. 2019) for DReG.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np

from elbax import methods
from elbax._errors import InputError
from elbax._files import finite
from elbax._keys import key_of
from elbax._types import Data, PRNGKey
from elbax.evaluation.ratios import Ratio, slope
from elbax.evaluation.snr import NETWORKS, SNR, gradient_draws, snr
from elbax.models._gaussian_toy import gaussian_toy
from elbax.models.interface import Model
from elbax.objectives import Objective

TOLERANCE = 0.15  # of a slope: theory is asymptotic, and four sizes are not infinity
_HISTOGRAM_KS = (1, 10, 100, 1000)
_FULL_DRAWS = 64  # samples up to which every size gets all draws; above, as many samples


@dataclass(frozen=True)
class Line:
    """A method whose samples grow: T = size, along K or M.

    `generative` and `inference` are the predicted slopes of log SNR against log T.
    """

    label: str
    along: str
    make: Callable[[int], Objective]
    generative: float
    inference: float
    source: str


def _centered(size: int) -> Objective:
    return methods.iwae(size, gradient="vimco-centered")


_R, _L = "Rainforth et al. 2018", "Lievin et al. 2020"
# The smallest size is 4, so that m = k = 4 has a group at every size.
LINES = (
    Line("IWAE", "K", lambda t: methods.iwae(t), 0.5, -0.5, _R),
    Line("ELBO", "M", lambda t: methods.vae(t), 0.5, 0.5, _R),
    Line("MIWAE K=4", "M", lambda t: methods.miwae(t // 4, 4), 0.5, 0.5, _R),
    Line("MIWAE M=4", "K", lambda t: methods.miwae(4, t // 4), 0.5, -0.5, _R),
    Line("PIWAE K=4", "M", lambda t: methods.piwae(t // 4, 4), 0.5, 0.5, _R),
    Line("PIWAE M=4", "K", lambda t: methods.piwae(4, t // 4), 0.5, -0.5, _R),
    Line("CIWAE 0.5", "K", lambda t: methods.ciwae(t, 0.5), 0.5, 0.5, "the ELBO's share stays"),
    Line("VR-IWAE 0.5", "K", lambda t: methods.renyi(t, 0.5), 0.5, 0.5, "Daudel et al. 2023"),
    Line("DReG", "K", lambda t: methods.iwae(t, gradient="dreg"), 0.5, 0.5, "Tucker et al. 2019"),
    Line("STL", "K", lambda t: methods.iwae(t, gradient="stl"), 0.5, 0.5, "its bias stays"),
    Line("score", "K", lambda t: methods.iwae(t, gradient="score"), 0.5, -1.5, "no baseline"),
    Line("VIMCO", "K", lambda t: methods.iwae(t, gradient="vimco"), 0.5, -0.5, _L),
    Line("VIMCO centered", "K", _centered, 0.5, 0.5, "a constant taken out"),
    Line("OVIS 0", "K", lambda t: methods.iwae(t, gradient="ovis:0"), 0.5, 0.5, _L),
    Line("OVIS 1", "K", lambda t: methods.iwae(t, gradient="ovis"), 0.5, 0.5, _L),
    Line("RWS", "K", lambda t: methods.rws(t), 0.5, 0.5, "its aim does not shrink"),
)


def toy_study(
    *,
    num_dimensions: int = 20,
    num_data: int = 1024,
    batch: int = 16,
    offset: float = 0.01,
    sizes: Sequence[int] = (4, 16, 64, 256),
    num_draws: int = 8000,
    seed: int = 0,
    lines: Sequence[Line] = LINES,
    with_histograms: bool = False,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """The study on the Gaussian toy, at `offset` from its optimum.

    Gradients are means over the first `batch` of the data; near the optimum (0.01) the theory's
    assumptions hold, far from it the weights degenerate and no slope is asymptotic.

    Returns:
        As `line_study`, with the toy's numbers under "model", and "histograms" if asked for.
    """
    data_key, key = jax.random.split(key_of(seed))
    model, x = gaussian_toy(num_dimensions, num_data, key=data_key, offset=offset)
    if not 1 <= batch <= num_data:
        raise InputError(f"expected a batch from 1 to {num_data} data; got {batch}.")
    study = line_study(
        lines, model, x[:batch], key=key, sizes=sizes, num_draws=num_draws, progress=progress
    )
    if with_histograms:
        study["histograms"] = histograms(model, x[:batch], key, num_draws, lambda done: None)
    described = {"name": "gaussian toy", "num_dimensions": num_dimensions, "num_data": num_data}
    return study | {"model": described | {"batch": batch, "offset": offset, "seed": seed}}


def line_study(
    lines: Sequence[Line],
    model: Model,
    x: Data,
    *,
    key: PRNGKey,
    sizes: Sequence[int],
    num_draws: int,
    groups: Sequence[str] = NETWORKS,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """SNR and DSNR of every line at every size, and the slopes with their verdicts.

    Args:
        lines: the methods.
        model: the model, as it stands.
        x: data `[B, *event]`, the same for every draw.
        key: a random key.
        sizes: T, increasing, multiples of 4.
        num_draws: draws at sizes up to 64; above, as many as draw as many samples.
        groups: networks or layers, as `elbax.snr` names them; slopes are of the networks.
        progress: told the fraction done.

    Returns:
        `{"format", "sizes", "num_draws", "lines": [{"label", "along", "groups": {group: {"snr",
        "low", "high", "floor", "dsnr", "dsnr_low", "dsnr_high", "cosine", "slope", "error",
        "points", "predicted", "verdict"}}}]}`; what is not finite is null.
    """
    if not sizes or min(sizes) < 4 or any(size % 4 for size in sizes):
        raise InputError(f"expected sizes that are multiples of 4; got {tuple(sizes)}.")
    found: list[dict[str, SNR]] = []
    draws = [max(64, num_draws * _FULL_DRAWS // max(size, _FULL_DRAWS)) for size in sizes]
    costs = np.array([n * size for n, size in zip(draws, sizes, strict=True)], float)
    for place, (size, number) in enumerate(zip(sizes, draws, strict=True)):

        def told(done: float, place: int = place) -> None:
            if progress is not None:
                progress(float((costs[:place].sum() + done * costs[place]) / costs.sum()))

        named = {line.label: line.make(size) for line in lines}
        result = snr(named, model, x, key=key, num_draws=number, progress=told)
        assert isinstance(result, dict)
        found.append(result)
    return {
        "format": 1,
        "sizes": list(sizes),
        "num_draws": [one[lines[0].label].num_draws for one in found],
        "tolerance": TOLERANCE,
        "lines": [_line(line, sizes, [one[line.label] for one in found], groups) for line in lines],
    }


def _line(line: Line, sizes, found: list[SNR], groups) -> dict[str, Any]:
    predicted = {"generative": line.generative, "inference": line.inference}
    entry: dict[str, Any] = {"label": line.label, "along": line.along, "source": line.source}
    entry["groups"] = {group: _group(group, sizes, found, predicted.get(group)) for group in groups}
    return entry


def _group(group: str, sizes, found: list[SNR], predicted: float | None) -> dict[str, Any]:
    ratios: list[Ratio] = [one.snr[group] for one in found]
    rise, error, points = slope(sizes, ratios)
    verdict = "under the noise floor"
    if predicted is None:
        verdict = "no prediction"
    elif np.isfinite(rise):
        verdict = "pass" if abs(rise - predicted) <= TOLERANCE + 2 * error else "fail"
    return {
        "snr": [ratio.value for ratio in ratios],
        "low": [ratio.low for ratio in ratios],
        "high": [ratio.high for ratio in ratios],
        "floor": [ratio.floor for ratio in ratios],
        "dsnr": [finite(one.dsnr[group].value) for one in found],
        "dsnr_low": [finite(one.dsnr[group].low) for one in found],
        "dsnr_high": [finite(one.dsnr[group].high) for one in found],
        "cosine": [finite(one.cosine[group]) for one in found],
        "slope": finite(rise),
        "error": finite(error),
        "points": points,
        "predicted": predicted,
        "verdict": verdict,
    }


def histograms(
    model: Model, x: Data, key: PRNGKey, num_draws: int, told: Callable[[float], None]
) -> list[dict[str, Any]]:
    """Draws of one parameter of each network for several K.

    The one whose SNR at K = 10 is above nine tenths of its network's: the very largest are biases
    of pixels that never change.
    """
    rule = "reparam" if model.inference.is_reparameterized else "score"
    pilot = snr(methods.iwae(10, gradient=rule), model, x, key=key, num_draws=64)
    told(0.1)
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(part, eqx.is_inexact_array)))
        for part in (model.generative, model.inference)
    ]
    assert isinstance(pilot, SNR)
    ranked = [np.argsort(np.abs(pilot.mean[n]) / np.maximum(pilot.sd[n], 1e-12)) for n in NETWORKS]
    first, second = (int(order[int(0.9 * len(order))]) for order in ranked)
    picked = [first, sizes[0] + second]
    entries = []
    for place, k in enumerate(_HISTOGRAM_KS):
        objective = methods.iwae(k, gradient=rule)
        draws = gradient_draws(
            objective, model, x, key=key, num_draws=min(num_draws, 400), parameters=picked
        )
        for network, column in zip(NETWORKS, draws.T, strict=True):
            entry = {"network": network, "k": k, "draws": [float(value) for value in column]}
            entries.append(entry)
        told(0.1 + 0.9 * (place + 1) / len(_HISTOGRAM_KS))
    return entries
