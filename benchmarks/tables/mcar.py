"""Single imputations of half of a table's cells, missing completely at random, beside the truth.

    python benchmarks/tables/mcar.py FOLDER [--only banknote breast] [--masks 5] [--steps 20000]

Mean squared error on standardised columns, mean and standard deviation over masks. elbax: the
missing-data IWAE of `elbax.sklearn.Imputer`, 3 x 128 tanh (or --hidden; none is a linear map), 10
latents, Student's t, K = 20, batches of 64, Adam at 0.002 annealed; L samples impute. Rates were
compared on one mask of banknote with its error in sight, and the default was kept.
Published: Mattei & Frellsen 2019 (arXiv 1812.02633), table 3.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from baselines import em, go_over_tables, iterative, mean
from data import at_random, standardised

TABLES = ("banknote", "breast", "wine_red", "wine_white")
PUBLISHED = {
    "MIWAE of Mattei & Frellsen": (0.446, 0.280, 0.643, 0.735),
    "EM Gaussian": (0.683, 0.226, 0.693, 0.745),
}
BATCH = 64


def elbax_imputer(x: np.ndarray, seed: int, options) -> np.ndarray:
    """Cells filled by the missing-data IWAE."""
    from elbax.sklearn import Imputer

    imputer = Imputer(
        types=dict.fromkeys(range(x.shape[1]), options.kind),
        epochs=max(1, options.steps // (len(x) // BATCH)),
        batch_size=BATCH,
        hidden=tuple(options.hidden),
        homoscedastic=options.homoscedastic,
        learning_rate=options.learning_rate,
        num_samples=options.samples,
        random_state=seed,
    )
    return imputer.fit_transform(x)


METHODS = {"EM Gaussian": em, "IterativeImputer": iterative, "mean": mean, "elbax": elbax_imputer}


def measure(name: str, options) -> dict:
    """Errors of every method by mask."""
    truth = standardised(options.folder, name)
    found = {"rows": len(truth), "columns": truth.shape[1], "methods": {}}
    for method in options.methods:
        found["methods"][method] = {"mse": [], "seconds": 0.0}
    for mask in range(options.masks):
        x = at_random(truth, 0.5, np.random.default_rng(mask))
        hidden = np.isnan(x)
        for method in options.methods:
            begun, row = time.perf_counter(), found["methods"][method]
            filled = METHODS[method](x, mask, options)
            error = float(((filled - truth)[hidden] ** 2).mean())
            row["mse"].append(round(error, 4))
            row["seconds"] += time.perf_counter() - begun
            print(f"{name} mask {mask} {method:17} {error:.4f}", flush=True)
    return found


def show(found: dict) -> None:
    for name, table in found["tables"].items():
        print(f"\n{name}: {table['rows']} rows, {table['columns']} columns")
        place = TABLES.index(name)
        for method, row in table["methods"].items():
            print(f"  {method:28} {np.mean(row['mse']):.3f} ± {np.std(row['mse'], ddof=1):.3f}")
        for method, values in PUBLISHED.items():
            print(f"  {method:28} {values[place]:.3f}  published")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=TABLES, choices=TABLES)
    parser.add_argument("--masks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--hidden", type=int, nargs="*", default=[128, 128, 128])
    parser.add_argument("--homoscedastic", action="store_true", help="one scale for each column")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--kind", default="student", choices=("student", "gaussian"))
    parser.add_argument("--samples", type=int, default=10_000, help="L, to impute")
    parser.add_argument("--json", type=Path, default=Path("runs/mcar.json"))
    go_over_tables(parser.parse_args(), measure, show)


if __name__ == "__main__":
    main()
