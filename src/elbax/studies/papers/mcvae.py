"""Thin et al. 2021: log p by annealing after 10, 30 and 100 epochs of a convolutional model."""

from dataclasses import replace

from elbax.exhibits import NONE, TableExhibit
from elbax.models.config import CONV, ModelConfig
from elbax.spelling import label
from elbax.studies import verdicts as v
from elbax.studies.papers.common import by_epoch, curves_exhibit
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

METHODS = ("vae(m=1)", "iwae(k=10)", "iwae(k=50)")
VAE, IWAE_10, IWAE_50 = (label(method) for method in METHODS)
ENDS: tuple[int, ...] = (10, 30, 100)
MODEL = replace(CONV, latents=64)
_DIGITS = ModelConfig(channels=(8, 16), hidden=(64,), latents=16, activation="relu")
_ANNEALED = 50  # test data
# Negative log p on MNIST after ENDS.
_PUBLISHED = {VAE: (89.83, 86.86, 85.22), IWAE_10: (88.54, 86.07, 84.82)}
_PUBLISHED |= {IWAE_50: (89.40, 86.54, 85.05)}


def runs(preset: Preset) -> list[PlannedRun]:
    """The three methods, looked at where the table has columns."""
    data = preset.data[0]
    model = _DIGITS if data == "digits" else MODEL
    train = preset.train(data, batch_size=100, schedule="constant", learning_rate=1e-3)
    planned = grid(data, METHODS, preset.seeds, model, train)
    return [replace(run, looks=ENDS, annealed=_ANNEALED) for run in planned]


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """The table in the paper's form, the curves, and who is ahead at the last column reached."""
    data = preset.data[0]
    names = [name for name in (VAE, IWAE_10, IWAE_50) if found.of(name)]
    annealed = {name: by_epoch(found.of(name), "ais") for name in names}
    sampled = {name: by_epoch(found.of(name)) for name in names}
    ends = [end for end in ENDS if any(end in values for values in annealed.values())]
    rows = []
    for name in names:
        rows.append([f"{name}, annealed", *(_nll(annealed[name].get(end)) for end in ends)])
        rows.append(["  by 5000 samples", *(_nll(sampled[name].get(end)) for end in ends)])
        if data == "mnist":
            told_of = dict(zip(ENDS, _PUBLISHED[name], strict=True))
            rows.append(["  the paper", *(f"{told_of[end]:.2f}" for end in ends)])
    table = TableExhibit(
        "mcvae",
        f"Negative log-likelihood by epochs, {data}",
        f"Over all test data, corrected on 512 (5000 samples) and {_ANNEALED} (annealing) of them.",
        ["", *(f"{end} epochs" for end in ends)],
        rows,
        (
            "In nats per datum, means over seeds; a constant rate of 1e-3, batches of 100.",
            "The paper's encoder is deeper, and its networks normalise batches: a distance to its "
            "numbers is that of the networks too.",
        ),
    )
    curves = curves_exhibit("curves", "Held-out IWAE-64", "Over all test data.", found, "iwae_64")
    return Findings([table, curves], _orders(found, names, data, ends))


def _orders(found: Found, names: list[str], data: str, ends: list[int]) -> list[v.Verdict]:
    """Pairs of methods that the paper tells apart, where training stands."""
    reached = ends[-1] if ends else None
    pairs = ((IWAE_10, VAE), (IWAE_10, IWAE_50))
    return [
        v.above(
            f"{better} has a higher log p-hat than {worse}",
            found.of(better),
            found.of(worse),
            "log_p_hat",
            published=_difference(better, worse, reached) if data == "mnist" else None,
        )
        for better, worse in pairs
        if better in names and worse in names
    ]


def _difference(better: str, worse: str, end: int | None) -> float | None:
    if end is None:
        return None
    place = ENDS.index(end)
    return _PUBLISHED[worse][place] - _PUBLISHED[better][place]


def _nll(value: float | None) -> str:
    return NONE if value is None else f"{-value:.2f}"


STUDY = Study(
    *HEADINGS["mcvae"],
    claim="After few epochs IWAE with 10 samples is ahead of the VAE, and of IWAE with 50: the "
    "tighter bound learns more slowly, and catches up.",
    presets=presets(10, {"mnist": 10}, {"mnist": 100}, paper_seeds=(0,)),
    runs=runs,
    conclude=conclude,
    is_divisible=True,
)
