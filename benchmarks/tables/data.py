"""The tables of the imputation literature, and where cells of them go missing."""

from pathlib import Path

import numpy as np

# Columns taken: banknote without its class. The wines with their quality where cells are missing
# completely at random (12 columns, as Mattei & Frellsen 2019), without it where they are not (11,
# as Ipsen et al. 2021).
FILES = {"banknote": (4, 4), "wine_red": (12, 11), "wine_white": (12, 11)}


def standardised(folder: Path, name: str, *, features: bool = False) -> np.ndarray:
    """A whole table `[N, C]`, standardised by all of its cells, as both papers do.

    Args:
        folder: of banknote.csv, wine_red.csv and wine_white.csv, without header rows.
        name: one of these, or breast, which scikit-learn has.
        features: whether without what is to be predicted.
    """
    if name == "breast":
        from sklearn.datasets import load_breast_cancer

        x = load_breast_cancer().data
    else:
        x = np.genfromtxt(folder / f"{name}.csv", delimiter=",")[:, : FILES[name][features]]
    return (x - x.mean(axis=0)) / x.std(axis=0)


def at_random(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The table with a share of its cells missing, all equally likely (MCAR)."""
    holes = np.zeros(x.size, bool)
    holes[rng.choice(x.size, int(share * x.size), replace=False)] = True
    return np.where(holes.reshape(x.shape), np.nan, x)


def above_their_mean(x: np.ndarray) -> np.ndarray:
    """The table, in the first half of its columns all cells missing that are above the mean."""
    holes = np.zeros(x.shape, bool)
    half = x.shape[1] // 2
    holes[:, :half] = x[:, :half] > x[:, :half].mean(axis=0)
    return np.where(holes, np.nan, x)
