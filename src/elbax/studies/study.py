"""What a study is: a claim, its source, the runs it needs, and what is concluded from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from elbax._errors import InputError, unknown
from elbax.exhibits import Exhibit
from elbax.models.config import PRESETS as MODELS
from elbax.models.config import ModelConfig
from elbax.studies.found import FoundRun
from elbax.studies.plan import PlannedRun
from elbax.studies.store import Budget, Store, Told
from elbax.studies.verdicts import Verdict
from elbax.training.config import TrainConfig

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
        methods: the only ones to take, as texts; all if none.
        as_trained: whether nothing is trained, and what is there stands for the study.
    """

    name: str
    epochs: Mapping[str, int]
    seeds: tuple[int, ...]
    schedule: str = "anneal"
    ks: tuple[int, ...] = (1, 5, 50, 64, 5000)
    num_data: int | None = None
    size: str = "reference"
    until: Mapping[str, int] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    as_trained: bool = False

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
        is_divisible: whether it concludes of some of its runs as well.
    """

    name: str
    title: str
    source: str
    claim: str
    presets: Mapping[str, Preset]
    runs: Callable[[Preset], list[PlannedRun]]
    conclude: Callable[[Preset, "Found", Told], Findings]
    is_divisible: bool = False

    def planned(self, preset: Preset) -> list[PlannedRun]:
        """Its runs, each as far as the preset goes; what they start from is trained whole.

        Raises:
            InputError: the preset wants a method that is not among them.
        """
        runs = [replace(run, until=preset.until.get(run.data)) for run in self.runs(preset)]
        known = dict.fromkeys(run.method for run in runs)
        for method in preset.methods:
            if method not in known:
                raise InputError(unknown(f"method of {self.name}", method, known))
        return [run for run in runs if run.method in (preset.methods or known)]


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
