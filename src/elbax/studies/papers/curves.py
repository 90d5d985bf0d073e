"""The 2021 report's Figures 1 to 3 and Rainforth et al. 2018, Figure 5: metrics while training.

Short protocols show bounds while they train; the paper's is compared with the report's own curves.
"""

import numpy as np

from elbax.evaluation.paired import Difference, over_seeds
from elbax.exhibits import LinesExhibit
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers import by_epoch, table1
from elbax.studies.papers.common import curve
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study

_WINDOW = 3  # looks at held-out data in the rolling mean
_TITLES = {
    "iwae_64": "Held-out IWAE-64",
    "log_p_hat": "Held-out log p-hat, by IWAE-512",
    "gap": "IWAE-64 minus IWAE-512",
}


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """Curves beside the report's, or figures and who is ahead in the second half of training."""
    if preset.schedule == "burda":
        return by_epoch.conclude(preset, found)
    exhibits, verdicts = [], []
    for data in preset.data:
        for metric, title in _TITLES.items():
            lines = [
                {"label": name, **_line(found.of(name, data), metric)} for name in table1.LABELS
            ]
            exhibits.append(
                LinesExhibit(
                    f"{data}-{metric}",
                    f"{title}, {data}",
                    f"On 100 held-out data, rolling mean of {_WINDOW} looks; the band is the sd "
                    "over seeds.",
                    "epoch",
                    "nats per datum",
                    [line for line in lines if line["x"]],
                )
            )
        iwae = _late(found.of(table1.IWAE, data))
        for name in (table1.MIWAE8, table1.PIWAE8):
            claim = f"{data}: {name} is ahead of IWAE in IWAE-64 over the second half of training"
            verdicts.append(v.ordered(claim, _paired(_late(found.of(name, data)), iwae)))
    return Findings(exhibits, verdicts)


def _runs(preset: Preset) -> list[PlannedRun]:
    """Those of table1, or of the paper's protocol what the report really ran."""
    return by_epoch.runs(preset) if preset.schedule == "burda" else table1.runs(preset)


_PAPER = Preset(
    "paper",
    dict.fromkeys(("mnist", "omniglot"), by_epoch.EPOCHS),
    (0,),
    "burda",
    num_data=1000,
    until={"omniglot": by_epoch.OMNIGLOT_EPOCHS},
)


def _line(runs: list[FoundRun], metric: str) -> dict:
    if metric == "iwae_64":
        return curve(runs, "iwae_64", _WINDOW)
    high = curve(runs, "iwae_512", _WINDOW)
    if metric == "log_p_hat":
        return high
    low = dict(zip(*(curve(runs, "iwae_64", _WINDOW)[axis] for axis in ("x", "y")), strict=True))
    differences = [low[x] - y for x, y in zip(high["x"], high["y"], strict=True)]
    return {"x": high["x"], "y": differences}


def _late(runs: list[FoundRun]) -> dict[int, float]:
    """Each seed's mean IWAE-64 over the second half of its epochs."""
    found = {}
    for run in runs:
        half = run.plan.train.epochs / 2
        values = [r["iwae_64"] for r in run.curve if r["epoch"] > half and r.get("iwae_64")]
        if run.ok and values:
            found[run.plan.seed] = float(np.mean(values))
    return found


def _paired(more: dict[int, float], less: dict[int, float]) -> Difference:
    """By seed; of one seed alone the curves say nothing about the error."""
    return over_seeds([more[seed] - less[seed] for seed in more if seed in less])


STUDY = Study(
    *HEADINGS["curves"],
    claim="MIWAE and PIWAE rise faster and higher in IWAE-64 than IWAE, and IWAE's gap stays "
    "the largest throughout. Under the paper's protocol the report's own curves are the claim, "
    "epoch by epoch.",
    presets={**table1.STUDY.presets, "paper": _PAPER},
    runs=_runs,
    conclude=conclude,
    is_divisible=True,
)
