"""KL warm-up against none, with one and with two stochastic layers."""

from elbax.exhibits import TableExhibit, plus_minus
from elbax.spelling import label
from elbax.studies import verdicts as v
from elbax.studies.papers.common import reliability_of, units, values
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

_SHARE = 0.5  # of all epochs; Sonderby et al. take 200 of 2000 and more


def _methods(preset: Preset) -> tuple[str, str]:
    epochs = max(1, round(_SHARE * next(iter(preset.epochs.values()))))
    return "vae(m=1)", f"vae(m=1, warmup={epochs})"


def runs(preset: Preset) -> list[PlannedRun]:
    """VAE(1) with and without warm-up, one and two layers."""
    data = preset.data[0]
    return [
        run
        for model in preset.depths.values()
        for run in grid(data, _methods(preset), preset.seeds, model, preset.train(data))
    ]


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """Active units and log p-hat."""
    plain, warm = (label(method) for method in _methods(preset))
    rows, verdicts, shown = [], [], []
    for depth, model in preset.depths.items():
        of = {name: found.of(name, latents=model.latents) for name in (plain, warm)}
        layers = f"{depth} layer{'s' if depth > 1 else ''}"
        rows += [
            [f"{layers}, {name}", plus_minus(values(members, "log_p_hat")), units(members)]
            for name, members in of.items()
        ]
        shown += [(f"{layers}, {name}", members) for name, members in of.items()]
        verdicts += [
            v.more_units(f"{layers}: warm-up leaves more units active", of[warm], of[plain]),
            v.above(f"{layers}: warm-up raises log p-hat", of[warm], of[plain], "log_p_hat"),
        ]
    table = TableExhibit(
        "warmup",
        f"KL warm-up, {preset.data[0]}",
        "The weight of the KL term rises from 0 to 1 over the first half of training.",
        ["", "log p-hat", "active units"],
        rows,
        ("± is the standard deviation over seeds.", "In nats per datum.", *reliability_of(shown)),
    )
    return Findings([table], verdicts)


STUDY = Study(
    *HEADINGS["warmup"],
    claim="Without warm-up, units are switched off early and never come back, deeper layers "
    "above all; with it more of them stay active and the likelihood is better.",
    presets=presets(30, {"mnist": 10}),
    runs=runs,
    conclude=conclude,
)
