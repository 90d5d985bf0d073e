"""How well encoders of trained runs are calibrated, measured and as exhibits."""

from collections.abc import Callable
from typing import Any

import numpy as np

from elbax._files import json_bytes, write_atomically
from elbax._keys import key_of
from elbax.evaluation.calibration import DRAWS, JOINT, Calibration, calibration
from elbax.exhibits import HistogramExhibit, Line, TableExhibit
from elbax.runs.load import Runs

FORMAT = 1
_BINS = 20
_SHARES = (0.5, 0.9)  # of the intervals whose coverage is told
_DOUBT = 0.01  # a p-value from which on ranks are taken for uniform
_FAR = 3.3  # standard errors of a coverage, from which on it is off
_BAND = 2.58  # standard errors: 99 % of bins, were ranks uniform
_MOST_RUNS = 4  # in the figure
KINDS = {"encoder": "draws of q", "resampled": "resampled"}


def calibration_study(
    runs: Runs,
    *,
    num_data: int = 1000,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Rank true latents among draws of every run's encoder, and among resampled ones.

    Writes calibration.json into the folder: for every run, layer (and all latents jointly) and
    kind of draws the shares of ranks in 20 bins, their error were they uniform, how often 50 % and
    90 % intervals hold the truth, and a p-value.

    Args:
        runs: from `load_runs`, of continuous latents.
        num_data: how many data to simulate from each run's own model.
        seed: of the data and the draws.
        progress: told the run's number and the fraction of it that is done.

    Raises:
        InputError: discrete latents, or a model that cannot draw data.
    """
    entries = []
    for index, spec in enumerate(runs.specs):
        found = []
        for place, kind in enumerate(KINDS if runs.status[index] == "ok" else ()):
            if progress is not None:
                progress(index, place / len(KINDS))
            one = calibration(
                runs.models[index], num_data, key=key_of(seed), resampled=kind == "resampled"
            )
            found += [_described(one, name, kind) for name in one.ranks]
        entries.append({"name": spec.name, "found": found})
    content = {"format": FORMAT, "num_data": num_data, "num_draws": DRAWS, "runs": entries}
    write_atomically(runs.path / "calibration.json", json_bytes(content))
    return content


def _described(one: Calibration, name: str, kind: str) -> dict[str, Any]:
    shares, error = one.shares(name, _BINS)
    return {
        "latents": name,
        "kind": kind,
        "shares": shares.tolist(),
        "error": float(error[0]),
        "coverage": [one.coverage(name, share) for share in _SHARES],
        "coverage_error": [one.coverage_error(name, share) for share in _SHARES],
        "p_value": one.p_value(name),
    }


def calibration_table(content: dict[str, Any]) -> TableExhibit:
    """One row for each run, layer and kind of draws."""
    rows = [
        (
            str(run["name"]),
            _said(one["latents"]),
            KINDS.get(one["kind"], str(one["kind"])),
            *(
                f"{100 * held:.1f} ± {100 * error:.1f}"
                for held, error in zip(one["coverage"], one["coverage_error"], strict=True)
            ),
            f"{one['p_value']:.2g}",
            _verdict(one),
        )
        for run in content["runs"]
        for one in run["found"]
        if one["coverage"]
    ]
    return TableExhibit(
        "calibration-table",
        "Calibration of the encoder",
        "",
        ("run", "latents", "draws", "50 % hold", "90 % hold", "p", "verdict"),
        rows,
        (
            f"Of {content['num_data']} data simulated from each run's model, in per cent: how "
            "often the interval in the middle of the draws (jointly, their region of highest "
            "density) holds the latent that the datum came from, ± the standard error over data.",
            "p: of ranks so far from uniform; of a layer, the least over its units times their "
            "number.",
        ),
        words=True,
    )


def calibration_figure(content: dict[str, Any]) -> HistogramExhibit:
    """Histograms of ranks, with the band they would lie in were they uniform."""
    panels = [
        panel for run in content["runs"][:_MOST_RUNS] for panel in _panels(run) if panel["lines"]
    ]
    return HistogramExhibit(
        "calibration",
        "Calibration of the encoder",
        "Ranks of the latents that simulated data came from among draws of the encoder, plain and "
        "resampled by importance weight; gray, where 99 % of the bins lie if the draws are from "
        "the posterior. High at both ends: too narrow; high in the middle: too wide. Jointly by "
        "log p(x, z), where high on the left is too narrow.",
        "rank, as a share of the draws",
        "share of the data",
        panels,
    )


def _panels(run: dict[str, Any]) -> list[Line]:
    names = dict.fromkeys(one["latents"] for one in run["found"])
    found = []
    for name in names:
        shown = [one for one in run["found"] if one["latents"] == name and one["shares"]]
        bins = len(shown[0]["shares"]) if shown else 1
        reach = _BAND * max((one["error"] for one in shown), default=0.0)
        found.append(
            {
                "title": f"{run['name']}, {_said(name)}",
                "edges": np.linspace(0, 1, bins + 1).tolist(),
                "lines": [
                    {"label": KINDS.get(one["kind"], one["kind"]), "heights": one["shares"]}
                    for one in shown
                    if len(one["shares"]) == bins
                ],
                "band": [max(0.0, 1 / bins - reach), 1 / bins + reach],
            }
        )
    return found


def _said(name: str) -> str:
    return "all jointly" if name == JOINT else name


def _verdict(one: dict[str, Any]) -> str:
    """What the ranks say of the draws: their spread first, which all units tell together."""
    off = [
        (held - share) / max(error or 0.0, 1e-9)
        for held, share, error in zip(one["coverage"], _SHARES, one["coverage_error"], strict=True)
    ]
    is_narrow, is_wide = min(off) < -_FAR, max(off) > _FAR
    if is_narrow != is_wide:
        return "too narrow" if is_narrow else "too wide"
    if is_narrow or one["p_value"] < _DOUBT:
        return "off"
    return "calibrated, as far as these data tell"
