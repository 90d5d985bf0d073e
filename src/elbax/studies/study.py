"""What a study is: a claim, its source, the runs it needs, and what is concluded from them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import InputError, RunFailedError, unknown
from elbax._files import finite, json_bytes, write_atomically
from elbax._version import __version__
from elbax.exhibits import Exhibit, ImagesExhibit
from elbax.models.config import PRESETS as MODELS
from elbax.models.config import ModelConfig
from elbax.runs.results import write_arrays
from elbax.studies import plan
from elbax.studies.plan import PlannedRun
from elbax.studies.store import Budget, FoundRun, Store, Told
from elbax.studies.verdicts import Verdict, violations
from elbax.training.config import TrainConfig
from elbax.training.environment import environment

PRESETS = ("quick", "standard", "paper")


@dataclass(frozen=True)
class Preset:
    """How much of a study is done.

    Attributes:
        name: quick, standard or paper.
        epochs: of training, by data set; the first one is the main one.
        seeds: one run per method each.
        schedule: course of the learning rate.
        ks: sample counts of the evaluation.
        num_data: test data of the evaluation; all if none.
        size: the one-layer model, by its name.
        until: epochs after which runs stop for the time being, by data set; all if it has none.
    """

    name: str
    epochs: Mapping[str, int]
    seeds: tuple[int, ...]
    schedule: str = "anneal"
    ks: tuple[int, ...] = (1, 5, 50, 64, 5000)
    num_data: int | None = None
    size: str = "reference"
    until: Mapping[str, int] = field(default_factory=dict)

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(self.epochs)

    @property
    def is_paper(self) -> bool:
        """Whether published values are comparable: the full protocol on the paper's data."""
        return self.name == "paper"

    @property
    def model(self) -> ModelConfig:
        """The model of `size`."""
        return MODELS[self.size]

    @property
    def depths(self) -> dict[int, ModelConfig]:
        """Models of one and of two stochastic layers."""
        return {
            1: self.model,
            2: MODELS["small-two-layer" if self.size == "small" else "two-layer"],
        }

    @property
    def budget(self) -> Budget:
        """The evaluation."""
        return Budget(self.ks, self.num_data)

    def train(self, data: str | None = None, **changes: Any) -> TrainConfig:
        """The protocol on a data set, the first if none is given."""
        epochs = self.epochs[data or self.data[0]]
        return TrainConfig(**{"epochs": epochs, "schedule": self.schedule, **changes})


def presets(
    quick: int = 40,
    standard: Mapping[str, int] | None = None,
    paper: Mapping[str, int] | None = None,
    *,
    quick_seeds: tuple[int, ...] = (0, 1, 2),
    standard_seeds: tuple[int, ...] = (0,),
    paper_seeds: tuple[int, ...] = (0, 1, 2, 3),
) -> dict[str, Preset]:
    """The three presets of a study, from the epochs of each.

    Short schedules are annealed: a scaled one of Burda et al. would spend two thirds of its few
    epochs at a tenth of the rate, which turns orders of methods around.
    """
    return {
        "quick": Preset(
            "quick", {"digits": quick}, quick_seeds, ks=(1, 5, 50, 64, 1000), size="small"
        ),
        "standard": Preset("standard", standard or {"mnist": 6}, standard_seeds, num_data=1000),
        "paper": Preset("paper", paper or {"mnist": 3280}, paper_seeds, "burda"),
    }


@dataclass(frozen=True)
class Findings:
    """What a study concludes.

    `snr` is the content of snr.json, where the study measured signal-to-noise ratios.
    """

    exhibits: Sequence[Exhibit]
    verdicts: Sequence[Verdict]
    snr: dict[str, Any] | None = None


@dataclass(frozen=True)
class Study:
    """A table or figure of a paper.

    Attributes:
        name: what the command line calls it.
        title: what a page calls it.
        source: the paper, and which table or figure.
        claim: what the paper says, in a sentence or two.
        presets: by name.
        runs: what is trained under a preset.
        conclude: exhibits and verdicts, of the runs in the order of `runs`.
    """

    name: str
    title: str
    source: str
    claim: str
    presets: Mapping[str, Preset]
    runs: Callable[[Preset], list[PlannedRun]]
    conclude: Callable[[Preset, "Found", Told], Findings]

    def planned(self, preset: Preset) -> list[PlannedRun]:
        """Its runs, each as far as the preset goes; what they start from is trained whole."""
        return [replace(run, until=preset.until.get(run.data)) for run in self.runs(preset)]


class Found:
    """The runs of a study, to be asked for by what was planned."""

    def __init__(self, store: Store, runs: Sequence[FoundRun]):
        self.store = store
        self.runs = list(runs)

    def of(self, label: str, data: str | None = None, **model: Any) -> list[FoundRun]:
        """The runs of one method by its label, one per seed; of one data set, of one model."""
        return [
            run
            for run in self.runs
            if run.plan.label == label
            and data in (None, run.plan.data)
            and all(getattr(run.plan.model, name) == value for name, value in model.items())
        ]

    def labels(self) -> list[str]:
        """Methods in the order of the plan."""
        return list(dict.fromkeys(run.plan.label for run in self.runs))


def chosen(
    study: Study,
    preset: str,
    *,
    data: Sequence[str] = (),
    epochs: int | None = None,
    until: int | None = None,
    seeds: Sequence[int] = (),
    size: str | None = None,
    num_data: int | None = None,
) -> Preset:
    """A study's preset with what the user wants otherwise.

    Raises:
        InputError: an unknown preset, or numbers that do not fit.
    """
    if preset not in study.presets:
        raise InputError(unknown("preset", preset, study.presets))
    for name, count in (("epochs", epochs), ("until", until)):
        if count is not None and count < 1:
            raise InputError(f"expected --{name} >= 1; got {count}.")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"expected different seeds; got {tuple(seeds)}.")
    base = study.presets[preset]
    first = next(iter(base.epochs.values()))
    names = tuple(data) or base.data
    changes: dict[str, Any] = {
        "epochs": {name: epochs or base.epochs.get(name, first) for name in names}
    }
    if seeds:
        changes["seeds"] = tuple(seeds)
    if size is not None:
        changes["size"] = size
    if num_data is not None and num_data < 1:
        raise InputError(f"expected num_data >= 1, a number of test data; got {num_data}.")
    if num_data is not None:
        changes["num_data"] = num_data
    if until is not None:
        least = [min(until, count) for count in changes["epochs"].values()]
        changes["until"] = dict(zip(names, least, strict=True))
    changed = replace(base, **changes)
    # What the user shortens or moves to other data is not the paper's protocol any more.
    same = all(changed.epochs.get(name) == count for name, count in base.epochs.items())
    altered = ", altered" if not same and preset == "paper" else ""
    prefix = "" if until is None else f", until epoch {until}"
    return replace(changed, name=f"{preset}{altered}{prefix}")


def outline(study: Study, preset: Preset, store: Store) -> dict[str, Any]:
    """What would be done: fleets, steps and about how long, on this machine.

    Returns:
        `{"study", "preset", "fleets": [{"folder", "runs", "steps", "seconds"}], "evaluation",
        "seconds"}`; fleets that are trained already are not among them.
    """
    rate = plan.measure_products_per_second()
    runs = study.planned(preset)
    rows = []
    for members in plan.fleets(store.missing(runs)):
        dataset = store.dataset(members[0].data)
        train = members[0].train
        rows.append(
            {
                "folder": plan.folder_name(members),
                "runs": len(members),
                "epochs": members[0].epochs,
                "steps": members[0].epochs * (len(dataset.train) // train.batch_size),
                "seconds": plan.seconds_of_training(members, dataset, rate),
            }
        )
    evaluation = sum(
        plan.seconds_of_evaluation(
            members, store.dataset(members[0].data), max(preset.ks), preset.num_data, rate
        )
        for members in plan.fleets(runs)
    )
    total = evaluation + sum(row["seconds"] for row in rows)
    return {
        "study": study.name,
        "preset": preset.name,
        "num_runs": len(runs),
        "fleets": rows,
        "evaluation": evaluation,
        "seconds": total,
    }


def perform(study: Study, preset: Preset, store: Store, out: Path, told: Told) -> dict[str, Any]:
    """Train what is missing, evaluate, conclude, and write study.json and its arrays into `out`.

    Returns:
        The content of study.json.

    Raises:
        RunFailedError: bounds contradict each other, so that nothing can be concluded.
    """
    begun = time.perf_counter()
    planned = study.planned(preset)
    store.train(planned, told)
    found = Found(store, store.evaluate(planned, preset.budget, told))
    if broken := violations(found.runs):
        raise RunFailedError(
            f"{study.name} failed: {broken[0]}, and so for {len(broken) - 1} more; bounds must "
            "rise with the number of samples. The evaluation is wrong; please report this."
        )
    findings = study.conclude(preset, found, told)
    content = {
        "format": 1,
        "elbax": __version__,
        "study": study.name,
        "title": study.title,
        "source": study.source,
        "claim": study.claim,
        "preset": {**asdict(preset), "epochs": dict(preset.epochs), "until": dict(preset.until)},
        "exhibits": [exhibit.content() for exhibit in findings.exhibits],
        "verdicts": [asdict(verdict) for verdict in findings.verdicts],
        "runs": [_run(run) for run in found.runs],
        "seconds": time.perf_counter() - begun,
        **environment(),
    }
    content = finite(content)
    _write(out, content, findings)
    return content


def _run(run: FoundRun) -> dict[str, Any]:
    training = run.results["training"]
    return {
        "name": run.plan.name,
        "label": run.plan.label,
        "data": run.plan.data,
        "folder": run.folder.name,
        "seed": run.plan.seed,
        "status": run.entry["status"],
        "epochs": training["epochs"],
        "steps": training["steps"],
        "fleet_seconds": training.get("seconds"),
        "model": asdict(run.plan.model),
        "train": asdict(run.plan.train),
        "metrics": run.entry["metrics"],
        "active_units": run.entry.get("active_units"),
    }


def _write(out: Path, content: dict[str, Any], findings: Findings) -> None:
    arrays: dict[str, np.ndarray] = {}
    for exhibit in findings.exhibits:
        if isinstance(exhibit, ImagesExhibit):
            arrays |= exhibit.arrays()
    if arrays:
        write_arrays(out / "images.npz", **arrays)
    if findings.snr is not None:
        write_atomically(out / "snr.json", json_bytes(findings.snr))
    write_atomically(out / "study.json", json_bytes(content))
