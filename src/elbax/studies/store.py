"""Runs on disk, shared between studies: found by their configuration, trained once, resumed.

A store is a folder of run folders, such as `elbax train` writes; what lies there is used whoever
trained it. Several processes share one: what another is working on is waited for.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from elbax._errors import CheckpointError, ElbaxWarning, InputError, RunFailedError, StoppedError
from elbax._version import __version__
from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.models.config import ModelConfig
from elbax.runs.evaluate import evaluate_runs
from elbax.runs.load import Runs, load_runs, model_config_of, origin_of
from elbax.runs.results import find_results, setting_of
from elbax.studies.found import FoundRun
from elbax.studies.looks import looks
from elbax.studies.plan import PlannedRun, fleets, folder_name, with_starts
from elbax.training import checkpoints
from elbax.training.claims import FolderInUseError, claimed, holder
from elbax.training.config import TrainConfig
from elbax.training.fit import FitResult, fit
from elbax.training.folder import newest_checkpoint
from elbax.training.recorded import identity_of, read_config
from elbax.training.suited import suited

_CHECKPOINT_SECONDS = 10.0  # what an interrupted study may lose
_WAIT_SECONDS = 1.0  # between two looks at what another process is doing

Told = Callable[[str, float], None]  # (what is done, fraction of it)


@dataclass(frozen=True)
class Budget:
    """How runs are evaluated: sample counts, how many test data, and the seed of both draws."""

    ks: tuple[int, ...]
    num_data: int | None
    seed: int = 0


class Store:
    """The runs under a folder.

    Attributes:
        root: the folder; made when something is trained.
        data_dir: where data sets are looked for.

    Args:
        root: see there.
        data_dir: see there.
        train: `elbax.fit`, or one that can be told to stop.
    """

    def __init__(
        self,
        root: Path,
        *,
        data_dir: str | None = None,
        train: Callable[..., FitResult] = fit,
    ):
        self.root = root
        self._train = train
        self.data_dir = data_dir
        self._datasets: dict[str, Dataset] = {}
        self._fingerprints: dict[str, str] = {}

    def dataset(self, name: str) -> Dataset:
        """A data set by name, loaded once."""
        if name not in self._datasets:
            self._datasets[name] = load_data(name, data_dir=self.data_dir)
            self._fingerprints[name] = self._datasets[name].fingerprint()
        return self._datasets[name]

    def missing(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Those of the runs, and of what they start from, that are not trained as far as asked."""
        return [run for run in with_starts(runs) if not self._is_finished(self._place(run), run)]

    def begun(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Those of the runs that have trained an epoch at least, and are not in training now.

        Warns:
            ElbaxWarning: some are in training, and so left out.
        """
        places = {run: self._place(run) for run in runs}
        holders = {folder: holder(folder) for folder in places.values() if folder is not None}
        busy = {folder: by for folder, by in holders.items() if by is not None and by.is_alive}
        for folder, by in busy.items():
            sentence = f"'{folder}' is left out: {by} is at work in it."
            warnings.warn(sentence, ElbaxWarning, stacklevel=2)
        free = {run: folder for run, folder in places.items() if folder and folder not in busy}
        return [run for run, folder in free.items() if _has_trained(folder, 1)]

    def train(self, runs: Sequence[PlannedRun], told: Told) -> None:
        """Train what is missing, fleet by fleet; an interrupted fleet goes on where it stopped.

        A fleet that another process has is left to it; the others go on meanwhile.

        Raises:
            StoppedError: the trainer was told to stop; what was trained is saved.
            InputError: another version of elbax is at work in the folder.
        """
        self.check_versions()
        while left := fleets(self.missing(runs)):
            held = [reason for fleet in left if (reason := self.attempt(fleet, told))]
            if len(held) == len(left):
                told(f"waiting: {held[0]}", 0.0)
                time.sleep(_WAIT_SECONDS)

    def check_versions(self) -> None:
        """Refuse to share the folder with another version of elbax that is at work in it.

        Raises:
            InputError: one is; a run that both had a hand in would be neither's.
        """
        for path in self.root.glob("*/.claim"):
            by = holder(path.parent)
            if by is not None and by.is_alive and by.elbax != __version__:
                raise InputError(
                    f"expected elbax {__version__} alone at work in '{self.root}'; got {by} with "
                    f"elbax {by.elbax} too. Wait for it, take another folder, or the same version."
                )

    def attempt(self, fleet: Sequence[PlannedRun], told: Told) -> str:
        """Train what is missing of a fleet, or say why that has to wait; "" when it is done."""
        if fleet[0].start is not None and self.missing([run.start for run in fleet if run.start]):
            return "runs to start from are not trained yet"
        held = ""
        begun = {folder: None for run in fleet if (folder := self._place(run)) is not None}
        for folder in begun:
            held = held or self._fit(folder, self._members(folder, fleet[0]), told)
        rest = [run for run in self.missing(fleet) if run in fleet and self._place(run) is None]
        for members in fleets(rest):
            held = self._fit(self._new_folder(members), members, told) or held
        return held

    def place(self, members: Sequence[PlannedRun]) -> Path:
        """The folder that holds the first of some runs, or where they would be trained."""
        return self._place(members[0]) or self._new_folder(members)

    def is_evaluated(self, run: PlannedRun, budget: Budget) -> bool:
        """Whether a run has been evaluated under a budget, and trained before that."""
        folder = self._place(run)
        if folder is None or not self._is_finished(folder, run):
            return False
        return find_results(folder, self._setting(run, budget)) is not None

    def evaluate(self, runs: Sequence[PlannedRun], budget: Budget, told: Told) -> list[FoundRun]:
        """Every run with its evaluation, in order; folders evaluated before are not again."""
        found = []
        for run in runs:
            folder = self._place(run)
            assert folder is not None, "train before evaluating"
            content, arrays = self._evaluate(folder, run, budget, told)
            row = [entry["name"] for entry in content["runs"]].index(run.name)
            entry = content["runs"][row]
            found.append(FoundRun(run, folder, entry, row, results=content, arrays=arrays))
        return found

    def _evaluate(
        self, folder: Path, run: PlannedRun, budget: Budget, told: Told
    ) -> tuple[dict[str, Any], Path]:
        """The results of a folder under a budget, and the file with their arrays."""
        dataset, wanted = self.dataset(run.data), self._setting(run, budget)
        while (found := find_results(folder, wanted)) is None:
            try:
                with claimed(folder) as claim:
                    claim.tell(doing="evaluating")
                    # Another process may have done it while this one asked for the folder.
                    if find_results(folder, wanted) is None:
                        self._evaluate_now(folder, dataset, wanted, told)
            except FolderInUseError as error:
                told(f"waiting: {error}", 0.0)
                time.sleep(_WAIT_SECONDS)
        return found

    def _setting(self, run: PlannedRun, budget: Budget) -> dict[str, Any]:
        """How results.json says that a run was evaluated under a budget."""
        num_test = len(self.dataset(run.data).test)
        num_data = min(budget.num_data or num_test, num_test)
        return setting_of(budget.ks, num_data, budget.seed)

    @staticmethod
    def _evaluate_now(folder: Path, dataset: Dataset, wanted: dict[str, Any], told: Told) -> None:
        loaded = load_runs(folder)
        total = len(loaded.specs)
        evaluate_runs(
            loaded,
            dataset,
            **wanted,
            progress=lambda index, done: told(f"evaluating {folder.name}", (index + done) / total),
        )

    def _place(self, run: PlannedRun) -> Path | None:
        """The folder that holds a run, trained or begun; a finished one first."""
        found = [folder for folder in self._folders() if self._holds(folder, run)]
        finished = [folder for folder in found if self._is_finished(folder, run)]
        return next(iter(finished or found), None)

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self.root.glob("*/config.json"))

    def _holds(self, folder: Path, run: PlannedRun) -> bool:
        try:
            config = read_config(folder)
            same = (
                "custom" not in config["model"]
                and model_config_of(config).explicit == self._model(run).explicit
                and TrainConfig(**config["train"]) == run.train
                and any(
                    one["method"] == run.method
                    and one["seed"] == run.seed
                    and one["learning_rate"] is None
                    and "objective" not in one  # which would be the user's own, of that name
                    for one in config["runs"]
                )
            )
        except (CheckpointError, KeyError, TypeError):
            return False  # not a folder of ours, or of another version
        return same and self._same_data(config, run) and self._same_origin(config, run)

    def _model(self, run: PlannedRun) -> ModelConfig:
        """The configuration as training completes it from the data."""
        return suited(run.model, self.dataset(run.data))

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
            and origin.get("configuration") == identity_of(read_config(place))
            and run.start.name in origin["runs"]
        )

    @staticmethod
    def _is_finished(folder: Path | None, run: PlannedRun) -> bool:
        return folder is not None and _has_trained(folder, run.epochs)

    def _new_folder(self, members: Sequence[PlannedRun]) -> Path:
        """A folder of its own for these runs, the same whenever they are asked for."""
        described = "\n".join(repr(run) for run in members)
        digest = hashlib.sha256(described.encode()).hexdigest()[:8]
        return self.root / f"{folder_name(members)}-{digest}"

    @staticmethod
    def _members(folder: Path, like: PlannedRun) -> list[PlannedRun]:
        """All runs that a begun folder holds, in its order."""
        return [
            replace(like, method=run["method"], seed=run["seed"])
            for run in read_config(folder)["runs"]
        ]

    def _fit(self, folder: Path, members: Sequence[PlannedRun], told: Told) -> str:
        """Train a folder's runs to the end, or say who is doing it."""
        run = members[0]
        seeds = tuple(dict.fromkeys(one.seed for one in members))
        methods = list(dict.fromkeys(one.method for one in members))
        dataset = self.dataset(run.data)
        told(f"training {folder.name}", 0.0)
        try:
            result = self._train(
                methods,
                dataset,
                model=run.model,
                config=run.train,
                seeds=seeds,
                origin=None if run.start is None else self._origin(run.start, seeds),
                directory=folder,
                resume=True,
                checkpoint_seconds=_CHECKPOINT_SECONDS,
                until=run.epochs,
                **looks(run, dataset),
                progress=lambda p: told(f"training {folder.name}", p.step / p.end),
            )
        except FolderInUseError as error:
            return str(error)
        if not result.finished:
            raise StoppedError(f"stopped; what was trained is saved in '{folder}'.")
        if not all(self._is_finished(folder, run) and self._holds(folder, run) for run in members):
            # It would be trained again, and again.
            raise RunFailedError(
                f"the runs in '{folder}' were trained, and are not those that the study asked for; "
                "please report this."
            )
        return ""

    def _origin(self, start: PlannedRun, seeds: Sequence[int]):
        place = self._place(start)
        assert place is not None, "starts are trained first"
        runs = load_runs(place)
        names = [PlannedRun(**{**vars(start), "seed": seed}).name for seed in seeds]
        return origin_of(_only(runs, names), seeds)


def _only(runs: Runs, names: Sequence[str]) -> Runs:
    """The runs of these names alone."""
    rows = [runs.index_of(name) for name in names]
    return replace(
        runs,
        specs=tuple(runs.specs[row] for row in rows),
        models=tuple(runs.models[row] for row in rows),
        status=tuple(runs.status[row] for row in rows),
    )


def _has_trained(folder: Path, epochs: int) -> bool:
    """Whether its newest checkpoint has come so far, and is whole and accounted for."""
    if (newest := newest_checkpoint(folder)) is None:
        return False
    enough = epochs * read_config(folder)["data"]["steps_per_epoch"]
    told = (folder / "training.json").exists()  # which is written after the checkpoint
    return told and newest.stem >= f"step-{enough:010d}" and _is_whole(newest)


def _is_whole(checkpoint: Path) -> bool:
    stat = checkpoint.stat()
    return _was_whole(checkpoint, stat.st_mtime_ns, stat.st_size)


@cache
def _was_whole(checkpoint: Path, _mtime: int, _size: int) -> bool:
    return checkpoints.is_whole(checkpoint)
