"""Trials in fleets: planned as plain data, trained from plain data, wherever that is."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from elbax._errors import StoppedError
from elbax._files import finite
from elbax._keys import key_of
from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.evaluation.likelihood import evaluate
from elbax.launch.work import STOPPING
from elbax.models.config import ModelConfig
from elbax.runs.load import model_config_of
from elbax.search.pruning import falls_behind
from elbax.search.settings import Setting
from elbax.training import metrics
from elbax.training.claims import FolderInUseError
from elbax.training.config import RunSpec, TrainConfig
from elbax.training.fit import FitResult, fit
from elbax.training.loop import Progress, Prune
from elbax.training.records import Look, Monitor

_WAIT_SECONDS = 1.0  # between two looks at a folder that another process trains in

Values = dict[str, dict[int, float]]  # by run and epoch


class _Run(TypedDict):
    method: str
    seed: int
    learning_rate: float | None


class _Trial(TypedDict):
    number: int
    runs: list[str]


class _Measure(TypedDict):
    k: int
    every: int
    seed: int


class Plan(TypedDict):
    """A fleet as plain data: all that `train_fleet` needs, as JSON has it."""

    format: int
    data: dict[str, Any] | None
    data_dir: str | None
    model: dict[str, Any] | str
    train: dict[str, Any]
    runs: list[_Run]
    trials: list[_Trial]
    folder: str
    measure: _Measure
    limits: list[tuple[int, float]]
    checkpoint_seconds: float
    fleet_map: str


@dataclass(frozen=True)
class Common:
    """What all trials of a search have in common.

    Attributes:
        request: what `elbax.load_data` gives the data for, or None for data in memory alone.
        data_dir: where data sets are looked for.
        seeds: of each trial's runs.
        k: samples of the held-out bound.
        every: epochs between two looks at it.
        binarise: how data become 0 and 1, where that was asked for.
        seed: of the held-out data's binarisation and of the samples.
        checkpoint_seconds: see `elbax.fit`.
        fleet_map: see `elbax.fit`.
    """

    request: dict[str, Any] | None
    data_dir: str | None
    seeds: tuple[int, ...]
    k: int
    every: int
    binarise: str | None = None
    seed: int = 0
    checkpoint_seconds: float = 30.0
    fleet_map: str = "auto"

    def plan(
        self, settings: Mapping[int, Setting], folder: Path, limits: Mapping[int, float]
    ) -> Plan:
        """A fleet of trials by number, which are to be trained in a folder.

        Runs are in the order of their names' methods, so that two fleets of the same kinds of
        objectives share a program.
        """
        specs = {spec.name: spec for one in settings.values() for spec in one.runs(self.seeds)}
        first = next(iter(settings.values()))
        model = first.model
        return {
            "format": 1,
            "data": self.request,
            "data_dir": self.data_dir,
            "model": model if isinstance(model, str) else asdict(model.explicit),
            "train": asdict(first.train),
            "runs": [
                {"method": s.method, "seed": s.seed, "learning_rate": s.learning_rate}
                for _, s in sorted(specs.items(), key=lambda pair: _kind_first(pair[1]))
            ],
            "trials": [
                {"number": number, "runs": [spec.name for spec in setting.runs(self.seeds)]}
                for number, setting in settings.items()
            ],
            "folder": str(folder),
            "measure": {"k": self.k, "every": self.every, "seed": self.seed},
            "limits": sorted(limits.items()),
            "checkpoint_seconds": self.checkpoint_seconds,
            "fleet_map": self.fleet_map,
        }


def grouped(settings: Mapping[int, Setting]) -> list[dict[int, Setting]]:
    """Trials by number, in fleets: of one model, one protocol and one number of samples.

    >>> base = Setting("iwae(k=8)", ModelConfig(), TrainConfig())
    >>> trials = [base.at(point) for point in ({"learning_rate": 0.01}, {"k": 4}, {"k": 8})]
    >>> [list(fleet) for fleet in grouped(dict(enumerate(trials)))]
    [[0, 2], [1]]
    """
    found: dict[Any, dict[int, Setting]] = {}
    for number, setting in settings.items():
        key = (setting.model, setting.train, setting.num_samples)
        found.setdefault(key, {})[number] = setting
    return list(found.values())


def _kind_first(spec: RunSpec) -> tuple[str, str]:
    """Runs of one kind of objective beside each other: the method without its numbers."""
    return "".join(sign for sign in spec.method if not sign.isdigit()), spec.name


def train_fleet(
    plan: Mapping[str, Any],
    *,
    dataset: Dataset | None = None,
    train: Callable[..., FitResult] = fit,
    told: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Train a planned fleet in its folder, to the end or on from where it stands.

    A function of plain data to plain data, to be called here or in any other process; whoever it
    is called by, the same plan gives the same result. Where another process trains in the folder,
    it waits for that one's end.

    Args:
        plan: a `Plan`, as JSON has it.
        dataset: the data, where they are at hand; else they are loaded.
        train: `elbax.fit`, or one that can be told to stop.
        told: told where training stands.

    Returns:
        A dictionary with `runs`, by name each with its `status` and its `values` (epoch, held-out
        bound in nats per datum, its error), `finished`, `seconds` and `compilations`.
    """
    folder, measure = Path(plan["folder"]), plan["measure"]
    if dataset is None:
        dataset = load_data(**plan["data"], data_dir=plan["data_dir"])
    specs = [RunSpec(**run) for run in plan["runs"]]
    name = f"iwae_{measure['k']}"
    while True:
        try:
            result = train(
                specs,
                dataset,
                model=_model_of(plan["model"]),
                config=TrainConfig(**plan["train"]),
                directory=folder,
                resume=True,
                monitor=_monitor(dataset, measure, name),
                monitor_every=measure["every"],
                prune=_pruning(plan, _values(folder, name)),
                progress=told,
                checkpoint_seconds=float(plan["checkpoint_seconds"]),
                fleet_map=plan["fleet_map"],
            )
            break
        except FolderInUseError:
            time.sleep(_WAIT_SECONDS)
    values, errors = _values(folder, name), _values(folder, f"{name}_error")
    curves = {
        run.name: [[e, v, errors[run.name][e]] for e, v in values.get(run.name, {}).items()]
        for run in result.runs
    }
    return {
        "runs": {
            run.name: {"status": status, "values": finite(curves[run.name])}
            for run, status in zip(result.runs, result.status, strict=True)
        },
        "finished": result.finished,
        "seconds": result.seconds,
        "compilations": result.num_compilations,
    }


def train_planned(plan: Mapping[str, Any]) -> dict[str, Any]:
    """`train_fleet` on a worker of an engine.

    Raises:
        StoppedError: the worker was told to end; the fleet is saved.
    """
    result = train_fleet(plan, train=partial(fit, stop=STOPPING.is_set))
    if not result["finished"]:
        raise StoppedError(f"stopped; the fleet is saved in '{plan['folder']}'.")
    return result


def _model_of(described: Mapping[str, Any] | str) -> ModelConfig | str:
    return described if isinstance(described, str) else model_config_of({"model": dict(described)})


def _monitor(dataset: Dataset, measure: Mapping[str, int], name: str) -> Monitor:
    """The held-out bound on the validation data, of the same samples for every run."""
    x = dataset.evaluation_split("valid", measure["seed"])

    def monitor(look: Look) -> dict[str, float]:
        found = evaluate(look.model, x, key=key_of(measure["seed"]), ks=(measure["k"],)).log_p_hat
        return {name: found.mean, f"{name}_error": found.standard_error}

    return monitor


def _values(folder: Path, name: str) -> Values:
    """A metric of every run of a folder by epoch, as far as it was trained."""
    found: Values = {}
    for record in metrics.read(folder / "metrics.jsonl"):
        run = found.setdefault(record["run"], {})
        if name in record:
            value = record[name]
            run[int(record["epoch"])] = float("nan") if value is None else float(value)
    return found


def _pruning(plan: Mapping[str, Any], seen: Values) -> Prune | None:
    """Which runs end after an epoch: all of a trial that falls behind, or of which one diverged.

    What was seen before a resume counts; epochs that are trained again come out the same.
    """
    limits = {int(epoch): float(limit) for epoch, limit in plan["limits"]}
    name = f"iwae_{plan['measure']['k']}"

    def prune(records: Sequence[Mapping[str, Any]]) -> list[str]:
        status = {record["run"]: record["status"] for record in records}
        for record in records:
            if name in record:
                seen.setdefault(record["run"], {})[record["epoch"]] = float(record[name])
        epoch = max((record["epoch"] for record in records), default=0)
        ended = []
        for trial in plan["trials"]:
            diverged = any(status.get(run) == "diverged" for run in trial["runs"])
            if diverged or falls_behind(mean_curve(trial["runs"], seen), epoch, limits):
                ended += trial["runs"]
        return ended

    return prune


def mean_curve(runs: Sequence[str], values: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """A trial's value by epoch, the mean over its runs, where all of them have one.

    >>> mean_curve(["a", "b"], {"a": {1: 0.0, 2: 1.0}, "b": {1: 1.0}})
    {1: 0.5}
    """
    curves = [values.get(run, {}) for run in runs]
    epochs = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    return {e: float(np.mean([curve[e] for curve in curves])) for e in sorted(epochs)}
