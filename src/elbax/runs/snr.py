"""Signal-to-noise of trained runs: ratios by layer, single-parameter histograms, ESS by method."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from elbax._errors import InputError
from elbax._keys import key_of
from elbax.data.dataset import Dataset
from elbax.evaluation.likelihood import evaluate, sample_counts
from elbax.evaluation.snr import NETWORKS, layers
from elbax.models.interface import Model
from elbax.runs.load import Runs
from elbax.runs.snr_study import LINES, histograms, line_study
from elbax.spelling import label

_CONTINUOUS = ("IWAE", "ELBO", "DReG", "STL", "VR-IWAE 0.5")
_DISCRETE = ("VIMCO", "VIMCO centered", "OVIS 0", "OVIS 1", "RWS", "score")


def runs_study(
    runs: Runs,
    dataset: Dataset,
    *,
    index: int = 0,
    num_data: int = 10,
    sizes: Sequence[int] = (4, 16, 64, 256),
    num_draws: int = 512,
    ess_data: int = 100,
    ess_samples: int = 5000,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """What `elbax snr FOLDER` measures: SNR by network and layer, histograms, ESS of every run.

    Args:
        runs: from `load_runs`.
        dataset: the data they were trained on; its test data are used.
        index: the run whose gradients are drawn.
        num_data: data of the fixed minibatch.
        sizes: samples per datum.
        num_draws: gradient draws up to 64 samples; fewer above, as many samples.
        ess_data: data per run for the ESS.
        ess_samples: samples per datum for the ESS, 5000 in the paper.
        seed: of every draw.
        progress: told what is done and the fraction of it.

    Returns:
        `line_study`'s content with "model", "histograms" and "ess".
    """
    sample_counts((*sizes, ess_samples))
    told = progress or (lambda what, done: None)
    if num_data < 1 or num_draws < 1 or ess_data < 1:
        raise InputError(
            f"expected num_data, num_draws and ess_data >= 1; got {num_data}, {num_draws} and "
            f"{ess_data}."
        )
    x = dataset.evaluation_split("test", seed)
    model, keys = runs.models[index], jax.random.split(key_of(seed), 3)
    chosen = _CONTINUOUS if model.inference.is_reparameterized else _DISCRETE
    study = line_study(
        [line for line in LINES if line.label in chosen],
        model,
        x[:num_data],
        key=keys[0],
        sizes=sizes,
        num_draws=num_draws,
        groups=[*NETWORKS, *_first_middle_last(model)],
        progress=lambda done: told("gradients", done),
    )
    study["model"] = {
        "name": runs.specs[index].name,
        "data": dataset.name,
        "batch": num_data,
        "epochs": runs.epochs_done,
        "seed": seed,
    }
    largest = evaluate(model, x[:num_data], key=keys[2], ks=(max(sizes),))
    study["notes"] = [
        f"Of {max(sizes)} samples of this run {largest.estimate('ess').mean:.1f} are effective, on "
        "the mean over the minibatch."
    ]
    study["histograms"] = histograms(
        model, x[:num_data], keys[1], num_draws, lambda done: told("histograms", done)
    )
    study["ess"] = []
    for place, (spec, one) in enumerate(zip(runs.specs, runs.models, strict=True)):
        found = evaluate(one, x[:ess_data], key=keys[2], ks=(ess_samples,))
        entry = {"run": spec.name, "label": label(spec.method), "samples": ess_samples}
        study["ess"].append(entry | {"ess": found.ess[found.is_finite("ess")].tolist()})
        told("ESS", (place + 1) / len(runs.specs))
    return study


def _first_middle_last(model: Model) -> list[str]:
    """The first, middle and last layer of each network, in the order of its arrays."""
    found = []
    for network in NETWORKS:
        names = [name for name in layers(model) if name.startswith(f"{network}/")]
        found += list(dict.fromkeys((names[0], names[len(names) // 2], names[-1])))
    return found
