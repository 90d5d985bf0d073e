"""Runs with planted results, as if trained and evaluated: the truth of a study is then known."""

from pathlib import Path

import numpy as np

from elbax.models.config import ModelConfig
from elbax.studies.found import FoundRun
from elbax.studies.plan import PlannedRun
from elbax.training.config import TrainConfig

KS = (1, 5, 50, 64, 5000)


def planted(
    plan: PlannedRun,
    bounds: dict[str, float],
    *,
    noise: float = 0.1,
    num_data: int = 200,
    units: tuple[int, ...] = (20,),
    curve: list[dict] | None = None,
    status: str = "ok",
) -> FoundRun:
    """A run whose mean bounds are those given, data differing by 20 nats that all runs share."""
    hard = 20 * np.random.default_rng(0).normal(size=num_data)
    hard -= hard.mean()
    digits = [ord(letter) for letter in f"{plan.method}{plan.seed}{plan.model}{plan.start}"]
    own = noise * np.random.default_rng(digits).normal(size=num_data)
    own -= own.mean() - 0.1 * noise * np.random.default_rng(digits).normal()
    values = {k: bounds[f"iwae_{k}"] + hard + own for k in KS}
    metrics = {f"iwae_{k}": float(value.mean()) for k, value in values.items()}
    metrics |= {f"gap_{k}": metrics[f"iwae_{k}"] - metrics["iwae_5000"] for k in KS[:-1]}
    metrics |= {"log_p_hat": metrics["iwae_5000"], "active_units": sum(units), "ssim": 0.7}
    errors = {name: 0.1 for name in metrics}
    entry = {"status": status, "metrics": metrics, "active_units": list(units)}
    entry = entry | {"standard_errors": errors}
    run = FoundRun(plan, Path("planted"), entry, 0, results={}, arrays=Path())
    similar = np.clip(0.7 + 0.001 * own, 0, 1)
    run.__dict__ |= {
        "_arrays": {"bounds": np.stack([values[k] for k in KS]), "ssim": similar},
        "results": {
            "evaluation": {"ks": list(KS)},
            "training": {"seconds": 60.0, "epochs": 2, "steps": 20},
        },
        "curve": curve or [],
    }
    return run


def lost(plan: PlannedRun) -> FoundRun:
    """A run that diverged in its first epoch: nothing is known of it."""
    nothing = [{"epoch": 1, "iwae_64": None, "iwae_512": None, "beta": None}]
    run = planted(plan, bounds_of(0.0, 0.0), status="diverged", curve=nothing)
    run.entry["metrics"] = dict.fromkeys(run.entry["metrics"])
    run.entry |= {"standard_errors": {}, "active_units": None}
    for array in run.__dict__["_arrays"].values():
        array *= np.nan
    return run


def bounds_of(log_p_hat: float, gap_64: float) -> dict[str, float]:
    """A set of bounds that rise with k."""
    shares = {1: 6.0, 5: 3.0, 50: 1.05, 64: 1.0, 5000: 0.0}
    return {f"iwae_{k}": log_p_hat + share * gap_64 for k, share in shares.items()}


def runs(means, noise=0.0, status="ok"):
    """One run per seed of a mean log p-hat each."""
    train = TrainConfig(epochs=1)
    return [
        planted(
            PlannedRun("digits", "vae(4)", seed, ModelConfig(), train),
            bounds_of(mean, 0.0),
            noise=noise,
            num_data=400,
            status=status,
        )
        for seed, mean in enumerate(means)
    ]
