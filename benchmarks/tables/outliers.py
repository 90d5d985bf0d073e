"""Outliers by `elbax.sklearn.OutlierDetector`, beside isolation forests and Gaussian mixtures.

    python benchmarks/tables/outliers.py FOLDER [--only vowels] [--seeds 3] [--steps 5000]

Area under the ROC curve on rows that no method was trained on, mean and standard deviation over
seeds (of the split and of the methods). FOLDER has .npz files with `X` and `y`, 1 for an outlier.
Two protocols: contaminated (60 % of all rows train, outliers among them; 40 % are scored) and
one-class (half of the inliers train; the other half and all outliers are scored). Where training
rows are contaminated, elbax also trains without the rows of the lowest scores, twice as many as
there are outliers (--trim 2). Columns are standardised by the training rows, and left out where
these never vary. The mixture has the number of components, 1 to 10 of full covariance, that the
BIC chooses. No method sees a label.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

from elbax.sklearn import OutlierDetector

DATA = ("cardio", "letter", "mammography", "pendigits", "vowels")
PROTOCOLS = ("contaminated", "one-class")


def split(x: np.ndarray, y: np.ndarray, protocol: str, seed: int):
    """Training rows, rows to score, and which of these are outliers."""
    rng = np.random.default_rng(seed)
    if protocol == "contaminated":
        order = rng.permutation(len(x))
        train, test = np.split(order, [int(0.6 * len(x))])
    else:
        inliers = rng.permutation(np.flatnonzero(y == 0))
        train, rest = np.split(inliers, [len(inliers) // 2])
        test = np.concatenate([rest, np.flatnonzero(y == 1)])
    varies = np.ptp(x[train], axis=0) > 0  # nothing is learned of a constant
    mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
    x = ((x - mean) / np.where(varies, sd, 1))[:, varies]
    return x[train], x[test], y[test]


def forest(train, test, seed: int) -> np.ndarray:
    return IsolationForest(random_state=seed).fit(train).score_samples(test)


def mixture(train, test, seed: int) -> np.ndarray:
    models = [
        GaussianMixture(n, reg_covar=1e-6, n_init=1, random_state=seed).fit(train)
        for n in range(1, 11)
    ]
    return min(models, key=lambda model: model.bic(train)).score_samples(test)


def detector(kind: str, trim: float, options):
    """elbax under one kind of column."""

    def scores(train, test, seed: int) -> np.ndarray:
        found = OutlierDetector(
            f"iwae(k={options.k}, gradient=dreg)",
            trim=trim,
            types=dict.fromkeys(range(train.shape[1]), kind),
            hidden=tuple(options.hidden),
            latents=options.latents,
            homoscedastic=not options.heteroscedastic,
            epochs=max(1, options.steps // (len(train) // 64)),
            learning_rate=options.learning_rate,
            num_samples=options.samples,
            most_samples=options.samples,
            random_state=seed,
        )
        return found.fit(train).score_samples(test)

    return scores


def methods(protocol: str, share: float, options) -> dict:
    """Scores by name; `share` is how many of all rows are outliers."""
    found = {"IsolationForest": forest, "GaussianMixture, BIC": mixture}
    for kind in ("gaussian", "student"):
        found[f"elbax {kind}"] = detector(kind, 0.0, options)
    if protocol == "contaminated" and options.trim:
        trim = min(0.5, options.trim * share)
        found["elbax gaussian, trimmed"] = detector("gaussian", trim, options)
    return found


def measure(path: Path, protocol: str, options) -> dict:
    """Areas of every method by seed."""
    with np.load(path) as file:
        x, y = file["X"].astype(float), file["y"].ravel().astype(int)
    found = {}
    for seed in range(options.seeds):
        train, test, labels = split(x, y, protocol, seed)
        for name, scores in methods(protocol, y.mean(), options).items():
            if options.methods and not any(word in name for word in options.methods):
                continue
            begun = time.perf_counter()
            area = roc_auc_score(labels, -scores(train, test, seed))
            row = found.setdefault(name, {"auc": [], "seconds": 0.0})
            row["auc"].append(round(float(area), 4))
            row["seconds"] += round(time.perf_counter() - begun, 1)
            print(f"{path.stem} {protocol} seed {seed} {name:24} {area:.4f}", flush=True)
    return found


def show(found: dict) -> None:
    for name, protocols in found["data"].items():
        for protocol, table in protocols.items():
            print(f"\n{name}, {protocol}")
            for method, row in table.items():
                spread = f" ± {np.std(row['auc'], ddof=1):.3f}" if len(row["auc"]) > 1 else ""
                print(f"  {method:26} {np.mean(row['auc']):.3f}{spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=DATA, choices=DATA)
    parser.add_argument("--protocols", nargs="+", default=PROTOCOLS, choices=PROTOCOLS)
    parser.add_argument("--methods", nargs="+", help="words of the names of those wanted")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--hidden", type=int, nargs="*", default=[64, 64])
    parser.add_argument("--latents", type=int, default=10)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--heteroscedastic", action="store_true", help="scales by the latents")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--samples", type=int, default=300, help="of a score")
    parser.add_argument("--trim", type=float, default=2.0, help="of the share of outliers; 0: none")
    parser.add_argument("--json", type=Path, default=Path("runs/outliers.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # mixtures that have not converged
    shown = {key: str(value) for key, value in vars(options).items() if key != "folder"}
    found = {"options": shown, "data": {}}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        for protocol in options.protocols:
            own = found["data"].setdefault(name, {})
            own[protocol] = measure(options.folder / f"{name}.npz", protocol, options)
            options.json.write_text(json.dumps(found, indent=1) + "\n")
    show(found)
    print(f"\nSaved: {options.json}")


if __name__ == "__main__":
    main()
