"""`tune`: search for a good setting, generation by generation, in a folder that many may share."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal

from elbax._checks import check_count
from elbax._errors import InputError
from elbax.data.dataset import Dataset
from elbax.evaluation.likelihood import sample_counts
from elbax.models.config import ModelConfig
from elbax.runs.status import Watch
from elbax.search.checks import checked_space, with_validation
from elbax.search.fleets import Common
from elbax.search.found import TuneResult
from elbax.search.generations import Search
from elbax.search.journal import optuna
from elbax.search.settings import Setting
from elbax.search.space import Dimension, Value, longest_warmup
from elbax.search.trainer import Told, Trainer
from elbax.training.config import TrainConfig
from elbax.training.fit import FitResult, fit
from elbax.training.setup import chosen

Given = Mapping[str, str | Sequence[Value] | Dimension]


def tune(
    method: str,
    data: str | Path | Dataset,
    *,
    search: Given | None = None,
    model: ModelConfig | str | None = None,
    config: TrainConfig = TrainConfig(),  # noqa: B008 (frozen)
    trials: int = 32,
    at_once: int = 8,
    seeds: Sequence[int] = (0,),
    sampler_seed: int = 0,
    k: int = 64,
    num_valid: int = 0,
    look_every: int = 1,
    pruner: Literal["median", "none"] = "median",
    directory: str | Path = "runs/tune",
    data_dir: str | None = None,
    checkpoint_seconds: float | int = 30.0,
    fleet_map: str = "auto",
    executor: Executor | None = None,
    progress: Told | None = None,
    watch: Watch | None = None,
    train: Callable[..., FitResult] = fit,
) -> TuneResult:
    """Search for the setting of the largest held-out IWAE-k, with Optuna.

    Trials that are asked for at once train as fleets: those that differ in rates, betas, warm-ups
    or gradient rules share a compiled program, those of other sizes are fleets of their own. Test
    data are neither trained on nor evaluated.

    The folder is the search: called again the function goes on where it stopped, and several
    processes that are given the same folder share the work. Trials of a process that died are
    taken up from their last checkpoint.

    Args:
        method: an objective as text, "iwae(k=8)"; numbers that are searched need not be in it.
        data: a name or path, as `elbax.load_data` takes it, or a `Dataset`.
        search: what varies, by name: texts "low:high", "low:high:log" or "a,b,c", or lists of
            values. Names are those of the method's arguments, of `TrainConfig` and of
            `ModelConfig`. If omitted: the learning rate, the method's own number, the gradient.
        model: a configuration, a preset's name, or "module:function".
        config: the protocol of every trial.
        trials: how many the search has in all, those from before too.
        at_once: how many are asked for at once; each generation learns from those before it.
        seeds: of the runs of a trial, whose value is their mean.
        sampler_seed: of Optuna's sampler (TPE).
        k: samples of the held-out bound.
        num_valid: training data to hold out for it; 0 takes the validation data that there are,
            else a tenth of the training data, at most 5000.
        look_every: epochs between two looks at them.
        pruner: "median" ends a trial whose best value is below the median of finished trials at
            an epoch past a quarter of them and past every warm-up; "none" ends none.
        directory: the folder.
        data_dir: where data sets are looked for.
        checkpoint_seconds: see `fit`.
        fleet_map: see `fit`.
        executor: where fleets are trained, side by side; in this process if omitted. It is sent
            a function of elbax and plain data.
        progress: told where training stands.
        watch: told about once a second where the fleets on the executor stand.
        train: `fit`, or one that can be told to stop.

    Returns:
        The trials and the best of them (bounds in nats per datum).

    Raises:
        InputError: an argument, the data or the folder cannot be used, or Optuna is missing;
            nothing has been trained.
        ElbaxError: the trainer was told to stop; what was trained is saved.

    References: Akiba et al. 2019, Optuna: a next-generation hyperparameter optimization framework.

    >>> import tempfile
    >>> import elbax
    >>> found = elbax.tune(
    ...     "iwae(k=2)", "digits", search={"learning_rate": "1e-3:1e-2:log"}, trials=2, at_once=2,
    ...     model=elbax.ModelConfig(hidden=(8,), latents=2), k=4,
    ...     config=elbax.TrainConfig(epochs=1, batch_size=200), directory=tempfile.mkdtemp())
    >>> [trial.status for trial in found.trials]
    ['finished', 'finished']
    """
    optuna()  # which may not be installed: before anything is loaded
    counts = {"trials": trials, "at_once": at_once, "look_every": look_every}
    for name, count in counts.items():
        check_count(name, count)
    sample_counts((k,))
    check_count("sampler_seed", sampler_seed, 0, 2**32)
    if pruner not in ("median", "none"):
        raise InputError(f"expected pruner to be median or none; got '{pruner}'.")
    taken = chosen(model, None)
    if not isinstance(taken, ModelConfig | str):
        raise InputError(
            "expected model as a configuration or a text, which other processes can be sent; got "
            f"{type(taken).__name__}."
        )
    dataset = with_validation(data, num_valid, taken, data_dir=data_dir)
    if executor is not None and dataset.request is None:
        raise InputError(
            "expected data by name or path, which other processes can load; got data in memory. "
            "Save them as .npz, with train and test in it."
        )
    base, space = checked_space(Setting(method, taken, config), search, seeds, dataset)
    places = None if data_dir is None else str(data_dir)
    common = Common(
        dataset.request,
        places,
        tuple(map(int, seeds)),
        k,
        look_every,
        binarise=None if dataset.usual else dataset.binarise,
        checkpoint_seconds=float(checkpoint_seconds),
        fleet_map=fleet_map,
    )
    after = longest_warmup(space, base.method) if pruner == "median" else None
    search_ = Search(Path(directory), base, space, common, dataset, sampler_seed, after)
    trainer = Trainer(executor, train, progress or (lambda *_: None), watch or (lambda found: None))
    return search_.perform(trials, at_once, trainer)
