"""What a trained run has learned, as panels of images: the pictures of `elbax sample`."""

import math

import numpy as np

from elbax._checks import check_fits
from elbax._errors import InputError
from elbax._keys import key_of
from elbax.data.dataset import Dataset
from elbax.evaluation import looks
from elbax.evaluation.posterior import prior_samples, sample
from elbax.exhibits import Panel
from elbax.models.interface import Model
from elbax.runs.load import Runs, load_data_of

# How many of each thing, where the user does not say.
_NUM = {"prior": 64, "draws": 64, "manifold": 20, "interpolation": 8, "posterior": 8, "weights": 40}
_POINTS = 10  # of an interpolation
_DRAWS = 5  # of each kind, of a posterior


def look(
    runs: Runs,
    what: str,
    *,
    run: str | None = None,
    num: int | None = None,
    k: int = 50,
    seed: int = 0,
    data_dir: str | None = None,
    data: str | None = None,
    split: str = "test",
) -> list[Panel]:
    """Panels of one run.

    Args:
        runs: from `load_runs`.
        what: prior, draws, manifold, interpolation, posterior or weights, as `elbax sample --what`.
        run: its name; the first if omitted.
        num: draws, latents along a side, lines, data or hidden units.
        k: draws that a resampled latent is chosen from.
        seed: of the draws and of the binarisation of test data.
        data_dir: where the data are, for interpolation and posterior.
        data: other data, as for `load_data_of`.
        split: of the data, as there.

    Raises:
        InputError: a number or a model that does not fit.
    """
    num = _NUM[what] if num is None else num
    if num < 1:
        raise InputError(f"expected --num >= 1; got {num}.")
    rows = {"prior": num, "manifold": num**2, "posterior": k}.get(what, 1)
    size = math.prod(runs.config["data"]["event_shape"])
    check_fits(f"{rows} images of size {size}", 4 * rows * size)
    model, key = runs.models[runs.index_of(run)], key_of(seed)
    if what == "prior":
        drawn = prior_samples(model, num, key=key)
        return [Panel("samples of the prior", drawn, int(np.ceil(num**0.5)))]
    if what == "draws":
        return [Panel("draws of x", sample(model, num, key=key), int(np.ceil(num**0.5)))]
    if what == "manifold":
        return [Panel("manifold", looks.manifold(model, num), num)]
    if what == "weights":
        return _weights(model, num)
    dataset = load_data_of(runs, data_dir=data_dir, data=data, split=split)
    if what == "interpolation":
        return _lines(model, dataset, num, seed)
    return _posterior(model, dataset, num, seed, key, k)


def _weights(model: Model, num: int) -> list[Panel]:
    """Every image on its own scale, 0 at mid-gray."""
    panels = []
    titles = ("encoder's first layer", "decoder's last layer")
    for title, images in zip(titles, looks.weight_images(model, num), strict=True):
        largest = np.abs(images).reshape(len(images), -1).max(axis=1)
        scale = np.maximum(largest, 1e-12).reshape(-1, *[1] * (images.ndim - 1))
        columns = int(np.ceil(len(images) ** 0.5))
        panels.append(Panel(title, 0.5 + 0.5 * images / scale, columns))
    return panels


def _lines(model: Model, dataset: Dataset, num: int, seed: int) -> list[Panel]:
    x = dataset.evaluation_split("test", seed)[: 2 * num]
    if len(x) < 2 * num:
        raise InputError(f"expected --num <= {len(x) // 2}, half the test data; got {num}.")
    drawn = looks.interpolation(model, x[::2], x[1::2], _POINTS)
    flat = drawn.reshape(-1, *drawn.shape[2:])
    return [Panel("interpolations between posterior means", flat, _POINTS)]


def _posterior(model: Model, dataset: Dataset, num: int, seed: int, key, k: int) -> list[Panel]:
    x = np.asarray(dataset.evaluation_split("test", seed)[:num])
    plain, resampled = looks.posterior_samples(model, x, key=key, num=_DRAWS, k=k)
    flat = [drawn.reshape(-1, *drawn.shape[2:]) for drawn in (plain, resampled)]
    return [
        Panel("data", x, 1),
        Panel("draws of q(z|x)", flat[0], _DRAWS),
        Panel(f"resampled among {k}", flat[1], _DRAWS),
    ]
