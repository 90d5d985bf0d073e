"""Gradient estimators for discrete latents: a sigmoid belief network under each of them."""

from elbax.models.config import SBN
from elbax.spelling import label
from elbax.studies import verdicts as v
from elbax.studies.papers.common import curves_exhibit, metric_table
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

METHODS = (
    "iwae(k=20, gradient=vimco)",
    "iwae(k=20, gradient=vimco-centered)",
    "iwae(k=20, gradient=ovis:0)",
    "iwae(k=20, gradient=nvil)",
    "iwae(k=20, gradient=score)",
    "rws(k=20)",
)
VIMCO, CENTERED, OVIS, NVIL, SCORE, RWS = (label(method) for method in METHODS)


def runs(preset: Preset) -> list[PlannedRun]:
    """Every estimator on one layer of 200 Bernoulli units."""
    data = preset.data[0]
    train = preset.train(data, batch_size=100 if data != "digits" else 20)
    return grid(data, METHODS, preset.seeds, SBN, train)


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """The likelihoods, the curves, and the order of the estimators."""
    labels = (VIMCO, CENTERED, OVIS, NVIL, SCORE, RWS)
    table = metric_table(
        "discrete",
        f"A sigmoid belief network of 200 units, {preset.data[0]}",
        "Twenty samples per datum.",
        [(name, found.of(name)) for name in labels],
        ("iwae_64", "log_p_hat", "gap_64"),
        {},
    )
    curves = curves_exhibit(
        "curves", "Held-out IWAE-64", "On 100 held-out data; the band is the sd over seeds.",
        found, "iwae_64",
    )  # fmt: skip
    return Findings(
        [table, curves],
        [
            v.above(
                f"{better} has a higher log p-hat than {worse}",
                found.of(better),
                found.of(worse),
                "log_p_hat",
            )
            for better, worse in (
                (VIMCO, NVIL),
                (NVIL, SCORE),
                (RWS, NVIL),
                (CENTERED, VIMCO),
                (OVIS, VIMCO),
            )
        ],
    )


STUDY = Study(
    *HEADINGS["discrete"],
    claim="Leave-one-out baselines (VIMCO) learn better sigmoid belief networks than a learned "
    "baseline (NVIL), and that better ones than none.",
    presets=presets(30, {"mnist": 10}, {"mnist": 1000}),
    runs=runs,
    conclude=conclude,
)
