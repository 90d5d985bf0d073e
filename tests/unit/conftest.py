"""A run directory as training and evaluation leave it: 5 methods x 3 seeds on 8 x 8 images."""

import json

import numpy as np
import pytest

METHODS = {  # label -> (iwae_1, iwae_64, log p-hat)
    "VAE(64)": ("vae(m=64)", -25.9, -24.6, -24.31),
    "IWAE(64)": ("iwae(k=64)", -27.4, -23.9, -23.25),
    "MIWAE(8, 8)": ("miwae(m=8, k=8)", -26.5, -23.8, -23.41),
    "PIWAE(8, 8)": ("piwae(m=8, k=8)", -26.7, -23.7, -23.22),
    "CIWAE(64, β=0.5)": ("ciwae(k=64, beta=0.5)", -26.2, -24.1, -23.70),
}
SEEDS = 3


def entry(label, seed, rng):
    method, *bounds = METHODS[label]
    one, many, top = (float(b + 0.06 * rng.normal()) for b in bounds)
    return {
        "name": f"{label.split('(')[0].lower()}-seed{seed}",
        "method": method,
        "label": label,
        "seed": seed,
        "status": "ok",
        "metrics": {
            "iwae_1": one,
            "iwae_64": many,
            "log_p_hat": top,
            "gap_64": many - top,
            "gap_1": one - top,
            "active_units": float(rng.integers(8, 14)),
            "ess": float(400 + 60 * rng.normal()),
            "ssim": float(0.7 + 0.01 * rng.normal()),
        },
        "standard_errors": {
            "iwae_1": 0.31, "iwae_64": 0.29, "log_p_hat": 0.28,
            "gap_64": 0.02, "gap_1": 0.06, "ess": 9.5,
        },
        "ssim_sd": 0.112,
        "num_nonfinite": 0,
    }  # fmt: skip


def make_results(seeds=SEEDS):
    rng = np.random.default_rng(7)
    return {
        "format": 1,
        "elbax": "0.1.0",
        "dataset": {
            "name": "digits",
            "num_train": 1437,
            "num_test": 360,
            "event_shape": [8, 8],
            "binarise": "dynamic",
        },
        "evaluation": {"ks": [1, 64, 5000], "num_data": 360, "seed": 0, "seconds": 12.3},
        "training": {"epochs": 40, "seconds": 184.2, "steps": 2880, "compilations": 1},
        "runs": [entry(label, seed, rng) for label in METHODS for seed in range(seeds)],
    }


def make_metrics(results, epochs=40):
    rng = np.random.default_rng(8)
    lines = []
    for run in results["runs"]:
        final = run["metrics"]["iwae_64"]
        for epoch in range(1, epochs + 1):
            held_out = final - 30 * float(np.exp(-epoch / 4)) + 0.05 * float(rng.normal())
            line = {
                "run": run["name"], "epoch": epoch, "step": 72 * epoch,
                "bound": held_out + 0.4, "inference_bound": held_out + 0.4, "ess": 12.3,
                "grad_norm": 1.0, "learning_rate": 0.001, "num_nonfinite": 0,
            }  # fmt: skip
            if epoch % 2 == 0:
                line["iwae_64"] = held_out
            lines.append(line)
    return lines


def make_images(num_runs, num_originals=8, num_samples=16):
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(9)
    digits = (load_digits().images / 16).astype(np.float32)
    originals = digits[:num_originals]
    noisy = originals + 0.1 * rng.normal(size=(num_runs, *originals.shape))
    drawn = rng.permutation(len(digits))[: num_runs * num_samples]
    samples = digits[drawn].reshape(num_runs, num_samples, 8, 8)
    return {
        "originals": originals,
        "reconstructions": np.clip(noisy, 0, 1).astype(np.float32),
        "samples": samples,
    }


CONFIG = {
    "dataset": "digits",
    "objectives": [method for method, *_ in METHODS.values()],
    "seeds": [0, 1, 2],
    "model": {"hidden": [200, 200], "latent": 20, "activation": "tanh"},
    "optimizer": {"name": "adam", "learning_rate": 0.001, "eps": 5e-6},
    "epochs": 40,
    "batch_size": 20,
}


def make_per_datum(results, spread=6.0, noise=0.3):
    """Bounds of every datum whose means are those of the results; data differ more than methods."""
    rng = np.random.default_rng(10)
    num_data = results["evaluation"]["num_data"]
    common = spread * rng.normal(size=num_data)
    names = ("iwae_1", "iwae_64", "log_p_hat")
    means = np.array([[run["metrics"][name] for name in names] for run in results["runs"]])
    own = noise * rng.normal(size=(*means.shape, num_data))
    values = common - common.mean() + own - own.mean(axis=-1, keepdims=True)
    bounds = means[..., None] + values
    return {
        "bounds": bounds.astype(np.float32),
        "finite": np.ones(bounds.shape, bool),
        "ess": np.full((len(bounds), num_data), 400.0, np.float32),
    }


def write(folder, results, metrics=None, config=CONFIG, images="make"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    lines = make_metrics(results) if metrics is None else metrics
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    if images == "make":
        images = make_images(len(results["runs"]))
    if images is not None:
        np.savez(folder / "images.npz", **images)
    return folder


@pytest.fixture
def results():
    return make_results()


@pytest.fixture
def per_datum(results):
    found = make_per_datum(results)
    return found | {"finite": found["finite"].all(axis=1)}


@pytest.fixture
def write_run():
    return write


@pytest.fixture
def run_dir(tmp_path, results):
    return write(tmp_path / "run", results)
