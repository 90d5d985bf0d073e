"""Other roads to log p(x) beside log p-hat: what they say of trained runs, and as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import InputError
from elbax._files import finite
from elbax._keys import key_of, stream
from elbax._reading import UnreadableError
from elbax.evaluation.annealing import CHAINS, STEPS, Sandwich, ais, bdmc, check_annealing
from elbax.evaluation.likelihood import Estimate, Evaluation, mean_and_error
from elbax.evaluation.truncation import sumo
from elbax.exhibits import NONE, TableExhibit
from elbax.models.interface import Model
from elbax.runs.groups import Method, by_method, number
from elbax.runs.metrics import CHECKS, Metric
from elbax.runs.results import find_results, read_arrays

_MOST_SIMULATED = 100  # data simulated from a model, at most as many as it is evaluated on
# Means with their standard errors, values of every datum, and what was done, by name.
Part = tuple[dict[str, Estimate], dict[str, np.ndarray], dict[str, Any]]
ARRAYS = (
    *("ais", "ais_error", "bdmc_lower", "bdmc_upper", "bdmc_iwae"),
    *("sumo", "sumo_error"),
)
_FEWEST, _BASE, _TAKEN = 8, 64, 2.2  # of sumo: estimates, their first samples, how many times these


@dataclass(frozen=True)
class Checks:
    """Which other estimates are asked for.

    Attributes:
        ais: annealed importance sampling, and BDMC of simulated data.
        steps: intervals of the annealed path.
        chains: annealed chains per datum.
        sumo: the unbiased estimate.
    """

    ais: bool = False
    steps: int = STEPS
    chains: int = CHAINS
    sumo: bool = False

    def check(self, models: Sequence[Model]) -> None:
        """Refuse what no run here allows, before anything is computed."""
        for model in models if self.ais else ():
            check_annealing(model, self.steps, self.chains)


@dataclass(frozen=True)
class Found:
    """What the checks found of one run.

    Attributes:
        entry: its part of results.json: metrics, their standard errors, settings.
        arrays: values of every datum, by name.
    """

    entry: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def into(self, entry: dict[str, Any]) -> dict[str, Any]:
        """An entry of results.json with these in it."""
        return entry | {name: entry.get(name, {}) | part for name, part in self.entry.items()}

    def over(self, before: "Found") -> "Found":
        """These with what was found before and is not found anew."""
        return Found(self.into(before.entry), before.arrays | self.arrays)


def checked_run(
    model: Model,
    x: np.ndarray,
    known: Evaluation,
    checks: Checks,
    seed: int,
    progress: Callable[[float], None],
) -> Found:
    """Estimate log p(x) on other roads than IWAE-k.

    Args:
        model: of the run.
        x: the data that it was evaluated on.
        known: that evaluation.
        checks: what is asked for.
        seed: of the evaluation.
        progress: told the fraction done.
    """
    parts: list[Part] = []
    if checks.sumo:
        share = 0.1 if checks.ais else 1.0
        parts.append(_of_sumo(model, x, known, seed, lambda done: progress(share * done)))
    if checks.ais:
        parts.append(_of_ais(model, x, known, checks, seed, progress))
    estimates, arrays, told = {}, {}, {}
    for of_part, values, how in parts:
        estimates |= of_part
        arrays |= values
        told |= how
    entry = {
        "metrics": finite({name: one.mean for name, one in estimates.items()}),
        "standard_errors": finite({name: one.standard_error for name, one in estimates.items()}),
        "checks": finite(told),
    }
    return Found(entry, arrays)


def _of_sumo(model, x, known: Evaluation, seed: int, progress) -> Part:
    repeats = max(_FEWEST, round(known.ks[-1] / (_TAKEN * _BASE)))
    key = stream(key_of(seed), "truncate")
    found = sumo(model, x, key=key, repeats=repeats, samples=_BASE, progress=progress)
    estimates = {"sumo": found.estimate, "sumo_gain": _above(found.log_p, known)}
    arrays = {"sumo": found.log_p, "sumo_error": found.errors}
    return estimates, arrays, {"sumo_repeats": repeats, "sumo_error": found.mc_error}


def _of_ais(model, x, known: Evaluation, checks: Checks, seed: int, progress) -> Part:
    sizes: dict[str, Any] = {"steps": checks.steps, "chains": checks.chains}
    key = stream(key_of(seed), "anneal")
    up = ais(model, x, key=key, **sizes, progress=lambda done: progress(done / 3))
    estimates = {"ais": up.estimate, "ais_gain": _above(up.log_p, known)}
    arrays = {"ais": up.log_p, "ais_error": up.errors}
    told = sizes | {"acceptance": float(up.acceptance.mean()), "ais_error": up.mc_error}
    try:
        both = bdmc(
            model,
            min(len(x), _MOST_SIMULATED),
            key=stream(key_of(seed), "simulate"),
            ks=known.ks[-1:],
            **sizes,
            progress=lambda done: progress((1 + 2 * done) / 3),
        )
    except InputError as error:  # a model of one's own that draws no data
        return estimates, arrays, told | {"bdmc_unknown": str(error)}
    of_both, more = _sandwiched(both)
    return estimates | of_both, arrays | more, told | {"num_simulated": len(both.x)}


def _above(log_p: np.ndarray, known: Evaluation) -> Estimate:
    """An estimate less log p-hat, datum by datum."""
    gain = log_p - known.bounds[-1]
    return mean_and_error(gain[np.isfinite(gain)])


def _sandwiched(both: Sandwich) -> tuple[dict[str, Estimate], dict[str, np.ndarray]]:
    estimates = {
        "bdmc_iwae": both.importance.log_p_hat,
        "bdmc_lower": both.lower.estimate,
        "bdmc_upper": both.upper.estimate,
        "short_least": both.short("lower"),
        "short_most": both.short("upper"),
    }
    arrays = {
        "bdmc_iwae": both.importance.bounds[-1],
        "bdmc_lower": both.lower.log_p,
        "bdmc_upper": both.upper.log_p,
    }
    return estimates, arrays


def earlier(folder: Path, setting: dict[str, Any]) -> list[Found] | None:
    """What checks of the same evaluation found before, of the same checkpoint: hours, perhaps."""
    found = find_results(folder, setting)
    if found is None or not any("checks" in run for run in found[0]["runs"]):
        return None
    try:
        arrays = {name: array for name, array in read_arrays(found[1]).items() if name in ARRAYS}
        return [_kept(run, arrays, row) for row, run in enumerate(found[0]["runs"])]
    except (OSError, UnreadableError, LookupError, TypeError, AttributeError):
        return None  # damaged: what is found now takes its place


def _kept(run: dict[str, Any], arrays: dict[str, np.ndarray], row: int) -> Found:
    names = [metric.key for metric in CHECKS]
    parts = {
        part: {name: value for name, value in run[part].items() if name in names}
        for part in ("metrics", "standard_errors")
    }
    of_run = {name: array[row] for name, array in arrays.items()}
    return Found(parts | {"checks": dict(run["checks"])}, of_run)


def trust_table(results: dict[str, Any]) -> TableExhibit | None:
    """One row per method: every estimate of log p(x), and how far IWAE is short of it.

    None where no run was checked.
    """
    methods = [one for one in by_method(results) if any("checks" in run for run in one.finished)]
    shown = [m for m in CHECKS if any(one.mean(m.key)[0] is not None for one in methods)]
    if not shown:
        return None
    k = max(results["evaluation"]["ks"])
    log_p_hat = Metric("log_p_hat", "log p-hat", 2, f"IWAE-{k} of the held-out data.")
    columns = [log_p_hat, *shown]
    names = [metric.name.replace("IWAE", f"IWAE-{k}") for metric in columns]
    return TableExhibit(
        "trust",
        "How far log p-hat can be trusted",
        "",
        ("method", *names),
        [(one.label, *(_cell(one, metric) for metric in columns)) for one in methods],
        _notes(methods, k),
        meanings={name: metric.meaning for name, metric in zip(names, columns, strict=True)},
    )


def _cell(method: Method, metric: Metric) -> str:
    mean, error = method.mean(metric.key)
    if mean is None:
        return NONE
    text = f"{mean:z.{metric.decimals}f}"
    return text if error is None else f"{text} ± {error:.{metric.decimals}f}"


def _notes(methods: Sequence[Method], k: int) -> list[str]:
    """What was done, and for each method whether k samples suffice."""
    told = [run["checks"] for method in methods for run in method.finished if run.get("checks")]
    notes = ["In nats per datum; ± as in the comparison."]
    if annealed := [one for one in told if "steps" in one]:
        sizes = f"{annealed[0]['steps']} annealing steps, {annealed[0]['chains']} chains per datum"
        notes.append(f"AIS: {sizes}{_most_error(told, 'ais_error')}.")
    if any("sumo_repeats" in one for one in told):
        notes.append(f"SUMO is no bound and has heavy tails{_most_error(told, 'sumo_error')}.")
    if simulated := [one["num_simulated"] for one in told if "num_simulated" in one]:
        notes.append(
            f"IWAE and BDMC are of {simulated[0]} data simulated from each model, whose log p(x) "
            "the two enclose in expectation; other numbers than those of the held-out data."
        )
    for method in methods:
        if method.mean("short_most")[0] is not None:
            ends = " to ".join(_cell(method, metric) for metric in CHECKS if "short" in metric.key)
            notes.append(
                f"{method.label}: of its own data {k} samples are short of log p(x) by {ends} nats."
            )
    unknown = {one["bdmc_unknown"] for one in told if "bdmc_unknown" in one}
    return [*notes, *(f"No BDMC: {why}" for why in sorted(unknown))]


def _most_error(told: Sequence[dict[str, Any]], name: str) -> str:
    known = [error for one in told if (error := number(one.get(name))) is not None]
    return f"; Monte Carlo error of a run's mean at most {max(known):.3f}" if known else ""
