"""Runs on disk, shared between studies: found by their configuration, trained once, resumed.

A store is a folder of run folders, such as `elbax train` writes; what lies there is used whoever
trained it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from elbax._errors import CheckpointError
from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.evaluation.likelihood import evaluate
from elbax.experiments.plan import PlannedRun, fleets, folder_name, with_starts
from elbax.experiments.runs import (
    Runs,
    evaluate_runs,
    load_runs,
    model_config_of,
    origin_of,
)
from elbax.models.interface import Model
from elbax.training.config import TrainConfig
from elbax.training.fit import Look, fit
from elbax.training.folder import identity_of, newest_checkpoint, read_config

_MONITORED = 100  # held-out data of the learning curves
_MONITORED_KS = (64, 512)
_CHECKPOINT_SECONDS = 10.0  # what an interrupted study may lose
_LOOKS = 20  # at held-out data while a run trains, about

Told = Callable[[str, float], None]  # (what is done, fraction of it)


@dataclass(frozen=True)
class Budget:
    """How runs are evaluated: sample counts, how many test data, and the seed of both draws."""

    ks: tuple[int, ...]
    num_data: int | None
    seed: int = 0


class FoundRun:
    """A trained and evaluated run, as its folder describes it.

    Attributes:
        plan: what was asked for.
        folder: where it lies.
        entry: its part of results.json.
    """

    def __init__(self, plan: PlannedRun, folder: Path, entry: dict[str, Any], row: int):
        self.plan, self.folder, self.entry, self._row = plan, folder, entry, row

    @property
    def ok(self) -> bool:
        """Whether it trained to the end without diverging."""
        return self.entry["status"] == "ok"

    def metric(self, name: str) -> float:
        """A mean over the test data; NaN where it is not known."""
        value = self.entry["metrics"].get(name)
        return float("nan") if value is None else float(value)

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "per_datum.npz", allow_pickle=False) as archive:
            return {name: archive[name][self._row] for name in archive.files}

    def per_datum(self, name: str) -> np.ndarray:
        """A metric of every test datum `[N]`: iwae_K, gap_K, log_p_hat or ssim."""
        if name == "ssim":
            return self._arrays["ssim"]
        bounds = dict(zip(self.results["evaluation"]["ks"], self._arrays["bounds"], strict=True))
        if name == "log_p_hat":
            return bounds[max(bounds)]
        kind, _, k = name.rpartition("_")
        bound = bounds[int(k)]
        return bound - bounds[max(bounds)] if kind == "gap" else bound

    @cached_property
    def results(self) -> dict[str, Any]:
        """The whole results.json of its folder."""
        return json.loads((self.folder / "results.json").read_text())

    @cached_property
    def curve(self) -> list[dict[str, Any]]:
        """Its lines of metrics.jsonl, by epoch."""
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [record for record in records if record["run"] == self.plan.name]

    @cached_property
    def model(self) -> Model:
        """The trained model."""
        runs = load_runs(self.folder)
        return runs.models[runs.index_of(self.plan.name)]


class Store:
    """The runs under a folder.

    Args:
        root: the folder; made when something is trained.
        data_dir: where data sets are looked for.
    """

    def __init__(self, root: Path, *, data_dir: str | None = None):
        self.root = root
        self._data_dir = data_dir
        self._datasets: dict[str, Dataset] = {}
        self._fingerprints: dict[str, str] = {}

    def dataset(self, name: str) -> Dataset:
        """A data set by name, loaded once."""
        if name not in self._datasets:
            self._datasets[name] = load_data(name, data_dir=self._data_dir)
            self._fingerprints[name] = self._datasets[name].fingerprint()
        return self._datasets[name]

    def missing(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Those of the runs, and of what they start from, that are not trained to the end."""
        return [run for run in with_starts(runs) if not self._is_finished(self._place(run))]

    def train(self, runs: Sequence[PlannedRun], told: Told) -> None:
        """Train what is missing, fleet by fleet; an interrupted fleet goes on where it stopped."""
        for fleet in fleets(self.missing(runs)):
            begun = {folder for run in fleet if (folder := self._place(run)) is not None}
            for folder in begun:
                self._resume(folder, fleet[0], told)
            rest = self.missing(fleet)
            for members in fleets([run for run in rest if run in fleet]):
                self._fit(self._new_folder(members), members, told, resume=False)

    def evaluate(self, runs: Sequence[PlannedRun], budget: Budget, told: Told) -> list[FoundRun]:
        """Every run with its evaluation, in order; folders evaluated before are not again."""
        found = []
        for run in runs:
            folder = self._place(run)
            assert folder is not None, "train before evaluating"
            self._evaluate(folder, run, budget, told)
            content = json.loads((folder / "results.json").read_text())
            names = [entry["name"] for entry in content["runs"]]
            row = names.index(run.name)
            found.append(FoundRun(run, folder, content["runs"][row], row))
        return found

    def _evaluate(self, folder: Path, run: PlannedRun, budget: Budget, told: Told) -> None:
        dataset = self.dataset(run.data)
        num_data = min(budget.num_data or len(dataset.test), len(dataset.test))
        wanted = {"ks": sorted(budget.ks), "num_data": num_data, "seed": budget.seed}
        if _evaluated_as(folder, wanted):
            return
        loaded = load_runs(folder)
        total = len(loaded.specs)
        evaluate_runs(
            loaded,
            dataset,
            ks=budget.ks,
            num_data=num_data,
            seed=budget.seed,
            progress=lambda index, done: told(f"evaluating {folder.name}", (index + done) / total),
        )

    def _place(self, run: PlannedRun) -> Path | None:
        """The folder that holds a run, trained or begun; a finished one first."""
        found = [folder for folder in self._folders() if self._holds(folder, run)]
        finished = [folder for folder in found if self._is_finished(folder)]
        return next(iter(finished or found), None)

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self.root.glob("*/config.json"))

    def _holds(self, folder: Path, run: PlannedRun) -> bool:
        try:
            config = read_config(folder)
            same = (
                "custom" not in config["model"]
                and model_config_of(config) == run.model
                and TrainConfig(**config["train"]) == run.train
                and config["data"]["request"] is not None
                and config["data"]["request"]["name_or_path"] == run.data
                and any(
                    one["method"] == run.method
                    and one["seed"] == run.seed
                    and one["learning_rate"] is None
                    for one in config["runs"]
                )
            )
        except (CheckpointError, KeyError, TypeError):
            return False  # not a folder of ours, or of another version
        return same and self._same_data(config, run) and self._same_origin(config, run)

    def _same_data(self, config: dict[str, Any], run: PlannedRun) -> bool:
        dataset = self.dataset(run.data)
        return (
            config["data"]["fingerprint"] == self._fingerprints[run.data]
            and config["data"]["binarise"] == dataset.binarise
        )

    def _same_origin(self, config: dict[str, Any], run: PlannedRun) -> bool:
        origin = config.get("origin")
        if run.start is None or origin is None:
            return run.start is None and origin is None
        place = self._place(run.start)
        return (
            place is not None
            and origin["configuration"] == identity_of(read_config(place))
            and run.start.name in origin["runs"]
        )

    @staticmethod
    def _is_finished(folder: Path | None) -> bool:
        if folder is None or (newest := newest_checkpoint(folder)) is None:
            return False
        config = read_config(folder)
        total = config["train"]["epochs"] * config["data"]["steps_per_epoch"]
        return newest.stem == f"step-{total:010d}"

    def _new_folder(self, members: Sequence[PlannedRun]) -> Path:
        """A folder of its own for these runs, the same whenever they are asked for."""
        described = "\n".join(repr(run) for run in members)
        digest = hashlib.sha256(described.encode()).hexdigest()[:8]
        return self.root / f"{folder_name(members)}-{digest}"

    def _resume(self, folder: Path, like: PlannedRun, told: Told) -> None:
        """Go on with all runs that a begun folder holds."""
        members = [
            PlannedRun(like.data, run["method"], run["seed"], like.model, like.train, like.start)
            for run in read_config(folder)["runs"]
        ]
        self._fit(folder, members, told, resume=True)

    def _fit(self, folder: Path, members: Sequence[PlannedRun], told: Told, *, resume: bool):
        run = members[0]
        seeds = tuple(dict.fromkeys(one.seed for one in members))
        methods = list(dict.fromkeys(one.method for one in members))
        dataset = self.dataset(run.data)
        told(f"training {folder.name}", 0.0)
        fit(
            methods,
            dataset,
            model=run.model,
            config=run.train,
            seeds=seeds,
            origin=None if run.start is None else self._origin(run.start, seeds),
            directory=folder,
            resume=resume,
            checkpoint_seconds=_CHECKPOINT_SECONDS,
            monitor=_monitor(dataset),
            monitor_every=max(1, run.train.epochs // _LOOKS),
            progress=lambda p: told(f"training {folder.name}", p.step / p.num_steps),
        )

    def _origin(self, start: PlannedRun, seeds: Sequence[int]):
        place = self._place(start)
        assert place is not None, "starts are trained first"
        runs = load_runs(place)
        names = [PlannedRun(**{**vars(start), "seed": seed}).name for seed in seeds]
        return origin_of(_only(runs, names), seeds)


def _only(runs: Runs, names: Sequence[str]) -> Runs:
    """The runs of these names alone."""
    rows = [runs.index_of(name) for name in names]
    return Runs(
        path=runs.path,
        config=runs.config,
        specs=tuple(runs.specs[row] for row in rows),
        models=tuple(runs.models[row] for row in rows),
        status=tuple(runs.status[row] for row in rows),
        epochs_done=runs.epochs_done,
    )


def _evaluated_as(folder: Path, wanted: dict[str, Any]) -> bool:
    """Whether a folder holds this evaluation of the runs as they are now."""
    results = folder / "results.json"
    newest = newest_checkpoint(folder)
    try:
        content = json.loads(results.read_text())
        settings = {name: content["evaluation"][name] for name in wanted}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if newest is None or not (folder / "per_datum.npz").exists():
        return False
    return settings == wanted and results.stat().st_mtime >= newest.stat().st_mtime


def _monitor(dataset: Dataset):
    """Held-out bounds for the learning curves: IWAE-64, and IWAE-512 near log p-hat."""
    x = dataset.evaluation_split("test")[:_MONITORED]

    def monitor(seen: Look) -> dict[str, float]:
        found = evaluate(seen.model, x, key=jax.random.key(0), ks=_MONITORED_KS)
        return {f"iwae_{k}": found.estimate(f"iwae_{k}").mean for k in _MONITORED_KS}

    return monitor
