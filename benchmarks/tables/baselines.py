"""What every imputation is held against, and how the scripts of imputations go over tables."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import em_gaussian
import numpy as np


def em(x: np.ndarray, seed: int, options) -> np.ndarray:
    """Means of a Gaussian fitted by EM, until a step gains under 1e-5 nats a row, or for 500."""
    return em_gaussian.fit(x, tolerance=1e-5, most=500)[0].conditional(x)[0]


def iterative(x: np.ndarray, seed: int, options) -> np.ndarray:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return IterativeImputer(max_iter=50, random_state=seed).fit_transform(x)


def mean(x: np.ndarray, seed: int, options) -> np.ndarray:
    return np.where(np.isnan(x), np.nanmean(x, axis=0), x)


def go_over_tables(options, measure: Callable[..., dict], show: Callable[[dict], None]) -> None:
    """Measure the tables of --only one by one, saved as they come, and show all."""
    warnings.simplefilter("ignore")  # rows without any observed cell; an early end of MICE
    shown = {key: str(value) for key, value in vars(options).items() if key != "folder"}
    found = {"options": shown, "tables": {}}
    path: Path = options.json
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        found["tables"][name] = measure(name, options)
        path.write_text(json.dumps(found, indent=1) + "\n")
    show(found)
    print(f"\nSaved: {path}")
