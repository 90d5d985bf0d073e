"""The 2021 report's Table 2 and Figure 7: trained on one data set, evaluated on another."""

import numpy as np

from elbax._keys import key_of
from elbax.data.dataset import Dataset
from elbax.evaluation.images import ssim
from elbax.evaluation.likelihood import Evaluation, evaluate
from elbax.evaluation.paired import paired
from elbax.evaluation.posterior import reconstructions
from elbax.exhibits import ImagesExhibit, Panel, TableExhibit, plus_minus
from elbax.spelling import label
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers.common import on_every_data_set
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

METHODS = ("iwae(k=64)", "piwae(m=8, k=8)", "miwae(m=8, k=8)", "ciwae(k=64, beta=0.5)", "vae(m=64)")
LABELS = tuple(label(method) for method in METHODS)
TURNED = "digits, turned"  # what a quick study of digits is evaluated on besides
_K = 1000  # samples of log p-hat on other data
_SHOWN = 10

# SSIM on Omniglot's test images by the data trained on.
_PUBLISHED = {
    ("mnist", "omniglot"): (".58", ".60", ".59", ".58", ".57"),
    ("omniglot", "omniglot"): (".72", ".74", ".75", ".72", ".72"),
}


runs = on_every_data_set(METHODS)


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """log p-hat and SSIM of every pair of training and test data."""
    tests = {data: found.store.dataset(data) for data in preset.data}
    if len(tests) == 1 and preset.data == ("digits",):
        tests[TURNED] = _turned(tests["digits"])
    rows, verdicts, strips = [], [], []
    total = len(preset.data) * len(tests)
    for place, (trained, (name, dataset)) in enumerate(
        (trained, test) for trained in preset.data for test in tests.items()
    ):
        told(f"evaluating {trained} on {name}", place / total)
        # One set of test data and draws for all methods and seeds, so that they can be paired.
        across = {
            one: [_Across(run, dataset, preset) for run in found.of(one, trained)] for one in LABELS
        }
        for one, members in across.items():
            published = _PUBLISHED.get((trained, name))
            rows.append(
                [
                    f"{trained} on {name}: {one}",
                    plus_minus([float(m.log_p_hat.mean()) for m in members]),
                    plus_minus([float(m.ssim.mean()) for m in members], 3),
                    published[LABELS.index(one)] if published else "-",
                ]
            )
        if trained != name:
            verdicts += _verdicts(trained, name, across)
            strips.append(_strips(trained, name, dataset, found, preset))
    table = TableExhibit(
        "generalization",
        "Trained on one data set, evaluated on another",
        f"log p-hat by {_K} samples and mean SSIM; the report's SSIM on Omniglot beside "
        "(its sd over images is .08 to .12).",
        ["trained on: method", "log p-hat", "SSIM", "paper"],
        rows,
        ("± is the standard deviation over seeds.", "log p-hat in nats per datum."),
    )
    return Findings([table, *strips], verdicts)


class _Across:
    """A run on other test data: log p-hat and SSIM per datum."""

    def __init__(self, run: FoundRun, dataset: Dataset, preset: Preset):
        x = dataset.evaluation_split("test", preset.budget.seed)[: preset.num_data]
        key = key_of(preset.budget.seed)
        found: Evaluation = evaluate(run.model, x, key=key, ks=(_K,))
        self.seed = run.plan.seed
        self.log_p_hat = found.per_datum("log_p_hat").astype(np.float64)
        rebuilt = np.clip(reconstructions(run.model, x), 0, 1)
        self.ssim = np.array(ssim(dataset.intensities("test")[: len(x)], rebuilt))


def _verdicts(trained: str, name: str, across: dict[str, list[_Across]]) -> list[v.Verdict]:
    vae, iwae = LABELS[-1], LABELS[0]
    return [
        v.ordered(
            f"Trained on {trained}, {iwae} has a higher log p-hat on {name} than {vae}",
            paired([m.log_p_hat for m in across[iwae]], [m.log_p_hat for m in across[vae]]),
        ),
        v.ordered(
            f"Trained on {trained}, {LABELS[1]} has a higher SSIM on {name} than {vae}",
            paired([m.ssim for m in across[LABELS[1]]], [m.ssim for m in across[vae]]),
            published=0.60 - 0.57 if (trained, name) in _PUBLISHED else None,
        ),
    ]


def _strips(trained: str, name: str, dataset: Dataset, found: Found, preset: Preset):
    x = np.asarray(dataset.evaluation_split("test", preset.budget.seed)[:_SHOWN])
    panels = [Panel("originals", dataset.intensities("test")[:_SHOWN], _SHOWN)]
    panels += [
        Panel(one, reconstructions(found.of(one, trained)[0].model, x), _SHOWN) for one in LABELS
    ]
    return ImagesExhibit(
        f"{trained}-on-{name}",
        f"Trained on {trained}, reconstructing {name}",
        "E[x | z] at the posterior mean, first seed.",
        panels,
    )


def _turned(dataset: Dataset) -> Dataset:
    """The same images turned by a quarter: other data of the same intensities."""
    return Dataset(
        name=TURNED,
        train=np.rot90(dataset.train, axes=(1, 2)).copy(),
        test=np.rot90(dataset.test, axes=(1, 2)).copy(),
        levels=dataset.levels,
        binarise=dataset.binarise,
    )


STUDY = Study(
    *HEADINGS["generalization"],
    claim="Methods hardly differ in how they reconstruct data they were not trained on, and all "
    "lose likelihood there.",
    presets=presets(
        30, {"mnist": 4, "omniglot": 6}, {"mnist": 3280, "omniglot": 1000}, paper_seeds=(0,)
    ),
    runs=runs,
    conclude=conclude,
)
