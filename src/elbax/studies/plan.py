"""What a study trains: runs, the fleets they share, and what they cost on this machine."""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import equinox as eqx
import jax

from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.models.build import build
from elbax.models.config import PRESETS, REFERENCE, ModelConfig
from elbax.spelling import describe, label, parse
from elbax.training.config import RunSpec, TrainConfig
from elbax.training.setup import new_fleet


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study. Two that are equal are trained once, whichever studies ask for them.

    Attributes:
        data: the name or path of a data set, taken as `elbax.load_data` gives it.
        method: an objective as text, in the spelling of `elbax.spelling.describe`.
        seed: of every random stream.
        model: the model's configuration.
        train: the protocol.
        start: the run whose parameters it starts from; at random if none.
        until: epochs of the protocol after which it is a result, to go on later; all if none.
        looks: epochs at which log p-hat is estimated while it trains; none makes about 20 looks at
            cheaper bounds.
        annealed: test data of these looks whose log p is also estimated by annealing.
    """

    data: str
    method: str
    seed: int
    model: ModelConfig
    train: TrainConfig
    start: "PlannedRun | None" = None
    until: int | None = None
    looks: tuple[int, ...] = ()
    annealed: int = 0

    def __post_init__(self) -> None:
        """Spell the method as runs on disk do."""
        object.__setattr__(self, "method", describe(parse(self.method)))

    @property
    def name(self) -> str:
        """Its name in a run folder."""
        return RunSpec(self.method, self.seed).name

    @property
    def label(self) -> str:
        """Its method on paper, and what it started from."""
        from_ = "" if self.start is None else f" from {self.start.label}"
        return f"{label(self.method)}{from_}"

    @property
    def num_samples(self) -> int:
        """Samples per datum."""
        return parse(self.method).num_samples

    @property
    def epochs(self) -> int:
        """How many it trains, of those that its schedule is made for."""
        return min(self.until or self.train.epochs, self.train.epochs)

    @property
    def fleet_key(self) -> "PlannedRun":
        """What all runs of a fleet have in common, as a run of no method and no seed."""
        start = None if self.start is None else replace(self.start, seed=0)
        return replace(self, method=f"vae(m={self.num_samples})", seed=0, start=start)


def grid(
    data: str,
    methods: Sequence[str],
    seeds: Sequence[int],
    model: ModelConfig,
    train: TrainConfig,
    starts: Sequence[PlannedRun] = (),
) -> list[PlannedRun]:
    """Every method with every seed; `starts` holds the run that each seed starts from."""
    start_of = {run.seed: run for run in starts}
    return [
        PlannedRun(data, method, seed, model, train, start_of.get(seed))
        for method in methods
        for seed in seeds
    ]


def fleets(runs: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    """The runs in fleets, starts before those that start from them.

    A fleet has one data set, model, protocol and sample count, and all its methods the same seeds.

    >>> model, train = ModelConfig(), TrainConfig()
    >>> runs = grid("digits", ["vae(4)", "iwae(4)", "iwae(8)"], (0, 1), model, train)
    >>> [[run.name for run in fleet] for fleet in fleets(runs)]  # doctest: +NORMALIZE_WHITESPACE
    [['vae-m4-seed0', 'vae-m4-seed1', 'iwae-k4-seed0', 'iwae-k4-seed1'],
     ['iwae-k8-seed0', 'iwae-k8-seed1']]
    """
    grouped: dict[PlannedRun, dict[str, list[PlannedRun]]] = {}
    for run in dict.fromkeys(runs):
        grouped.setdefault(run.fleet_key, {}).setdefault(run.method, []).append(run)
    found: list[list[PlannedRun]] = []
    for methods in grouped.values():
        by_seeds: dict[tuple[int, ...], list[PlannedRun]] = {}
        for members in methods.values():
            by_seeds.setdefault(tuple(run.seed for run in members), []).extend(members)
        found += by_seeds.values()
    return sorted(found, key=lambda members: _stage(members[0]))


def with_starts(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs and all that they start from, each once."""
    found: dict[PlannedRun, None] = {}
    for run in runs:
        if run.start is not None:
            found |= dict.fromkeys(with_starts([run.start]))
        found[run] = None
    return list(found)


def _stage(run: PlannedRun) -> int:
    return 0 if run.start is None else 1 + _stage(run.start)


def folder_name(members: Sequence[PlannedRun]) -> str:
    """What a fleet's folder is called: data, model, samples; the store appends a hash.

    >>> folder_name(grid("digits", ["iwae(8)"], (0,), ModelConfig(), TrainConfig()))
    'digits-reference-t8'
    >>> folder_name(grid("/a/b c.npy", ["iwae(8)"], (0,), ModelConfig(), TrainConfig()))
    'b-c.npy-reference-t8'
    """
    run = members[0]
    names = [name for name, preset in PRESETS.items() if preset == run.model]
    model = names[0] if names else "own"
    # Of a path its last part, and of that what no file system minds.
    data = re.sub(r"[^\w.-]+", "-", Path(run.data).name, flags=re.ASCII).strip(".-") or "data"
    return f"{data[:60]}-{model}-t{run.num_samples}" + "-stage2" * _stage(run)


_COMPILATION = 8.0  # seconds per fleet, with its evaluation
_OVERHEAD = 0.7e-3  # seconds per step that are no products
_TIMED_STEPS = 60  # within the first epoch of the digits


def seconds_of_training(
    members: Sequence[PlannedRun], dataset: Dataset, products_per_second: float
) -> float:
    """About how long a fleet trains: three passes of its products, and what each step adds."""
    run = members[0]
    per_datum, per_sample = _products(run.model, dataset.event_shape)
    steps = run.epochs * (len(dataset.train) // run.train.batch_size) * len(members)
    products = 3 * run.train.batch_size * (per_datum + run.num_samples * per_sample)
    return steps * (products / products_per_second + _OVERHEAD) + _COMPILATION


def seconds_of_evaluation(
    members: Sequence[PlannedRun],
    dataset: Dataset,
    k: int,
    num_data: int | None,
    products_per_second: float,
) -> float:
    """About how long a fleet's evaluation with k samples takes."""
    _, per_sample = _products(members[0].model, dataset.event_shape)
    data = min(num_data or len(dataset.test), len(dataset.test))
    return len(members) * data * k * per_sample / products_per_second


def measure_products_per_second() -> float:
    """Multiply-adds per second of this machine in real training: a few steps on the digits."""
    dataset, config = load_data("digits"), TrainConfig()
    seeds = range(4)  # as many side by side as a fleet would have
    _, fleet, _ = new_fleet("iwae(k=64)", dataset, model=REFERENCE, config=config, seeds=seeds)
    fleet.advance(2)
    begun = time.perf_counter()
    fleet.advance(_TIMED_STEPS)
    seconds = (time.perf_counter() - begun) / (_TIMED_STEPS * len(seeds))
    per_datum, per_sample = _products(REFERENCE, dataset.event_shape)
    return 3 * config.batch_size * (per_datum + 64 * per_sample) / seconds


def _products(config: ModelConfig, event_shape: tuple[int, ...]) -> tuple[float, float]:
    """Multiply-adds per datum (the first encoder) and per sample (everything else)."""
    model = jax.eval_shape(lambda: build(event_shape, config, key=jax.random.key(0)))
    inference = model.inference
    first = inference.encoders[0] if hasattr(inference, "encoders") else inference.encoder
    whole = _size(model)
    return _size(first), whole - _size(first)


def _size(tree) -> float:
    leaves = jax.tree.leaves(eqx.filter(tree, lambda leaf: hasattr(leaf, "shape")))
    return float(sum(math.prod(leaf.shape) for leaf in leaves))
