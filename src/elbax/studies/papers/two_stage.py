"""Burda et al. 2015, Table 2: a trained VAE goes on as IWAE, and the reverse."""

from dataclasses import replace

from elbax.exhibits import TableExhibit, plus_minus
from elbax.studies import verdicts as v
from elbax.studies.papers.common import of_mnist, reliability_of, units, values
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

VAE, IWAE = "VAE(1)", "IWAE(50)"
_PUBLISHED = {
    VAE: "86.76 (19)",
    f"{IWAE} from {VAE}": "84.88 (22)",
    IWAE: "84.78 (25)",
    f"{VAE} from {IWAE}": "86.02 (23)",
}


def runs(preset: Preset) -> list[PlannedRun]:
    """Both first stages, then the other objective from each: the last rate, two thirds as long."""
    data = preset.data[0]
    first = preset.train(data)
    # The paper: rate 1e-4 for 3^7 epochs, after 3280.
    second = replace(
        first,
        epochs=max(1, round(first.epochs * 3**7 / 3280)),
        learning_rate=1e-4,
        schedule="constant",
    )
    vae, iwae = (
        grid(data, [method], preset.seeds, preset.model, first)
        for method in ("vae(m=1)", "iwae(k=50)")
    )
    iwae_after = grid(data, ["iwae(k=50)"], preset.seeds, preset.model, second, starts=vae)
    vae_after = grid(data, ["vae(m=1)"], preset.seeds, preset.model, second, starts=iwae)
    return [*vae, *iwae, *iwae_after, *vae_after]


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """NLL and active units of the four, and what the second stage changes."""
    data = preset.data[0]
    of = {name: found.of(name) for name in _PUBLISHED}
    rows = [
        [
            name,
            f"{plus_minus([-x for x in values(members, 'log_p_hat')])} ({units(members)})",
            *([_PUBLISHED[name]] if data == "mnist" else []),
        ]
        for name, members in of.items()
    ]
    beside = " The paper's are of MNIST after 3280 and 2187 epochs." if data == "mnist" else ""
    table = TableExhibit(
        "two-stage",
        f"Two-stage training, {data}",
        f"-log p-hat in nats (active units).{beside}",
        ["trained as", "NLL", *(["paper"] if data == "mnist" else [])],
        rows,
        ("± is the standard deviation over seeds.", *reliability_of(list(of.items()))),
    )
    return Findings(
        [table],
        [
            v.above(
                "Going on as IWAE(50) improves a trained VAE",
                of[f"{IWAE} from {VAE}"], of[VAE], "log_p_hat",
                published=of_mnist(data, 86.76 - 84.88),
            ),
            v.above(
                "Going on as VAE makes a trained IWAE(50) worse",
                of[IWAE], of[f"{VAE} from {IWAE}"], "log_p_hat",
                published=of_mnist(data, 86.02 - 84.78),
            ),
        ],
    )  # fmt: skip


STUDY = Study(
    *HEADINGS["two-stage"],
    claim="Inactive units are no mere matter of optimization: an IWAE started from a trained VAE "
    "becomes nearly as good as one trained from scratch, and a VAE started from an IWAE loses "
    "what that had.",
    presets=presets(15, {"mnist": 10}, paper_seeds=(0,)),
    runs=runs,
    conclude=conclude,
)
