"""Samples and two-dimensional manifolds of a VAE and an IWAE, side by side."""

from dataclasses import replace

import jax

from elbax.evaluation.looks import manifold
from elbax.evaluation.posterior import prior_samples
from elbax.exhibits import ImagesExhibit, Panel
from elbax.studies import verdicts as v
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

METHODS = {"VAE(50)": "vae(m=50)", "IWAE(50)": "iwae(k=50)"}
_SIDE = 12


def runs(preset: Preset) -> list[PlannedRun]:
    """Both methods, with two latents."""
    data = preset.data[0]
    model = replace(preset.model, latents=2)
    return grid(data, list(METHODS.values()), preset.seeds, model, preset.train(data))


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """Manifolds, samples, and which has the higher likelihood."""
    first = {name: found.of(name)[0].model for name in METHODS}
    key = jax.random.key(0)
    manifolds = [Panel(name, manifold(model, _SIDE), _SIDE) for name, model in first.items()]
    samples = [Panel(n, prior_samples(model, 64, key=key), 8) for n, model in first.items()]
    return Findings(
        [
            ImagesExhibit(
                "manifold",
                "Manifold of two latents",
                "E[x | z] over a grid that is even in probability under the prior, first seed.",
                manifolds,
            ),
            ImagesExhibit("samples", "Samples", "E[x | z] for draws of the prior.", samples),
        ],
        [
            v.above(
                "With two latents, IWAE(50) has a higher log p-hat than VAE(50)",
                found.of("IWAE(50)"), found.of("VAE(50)"), "log_p_hat",
            )
        ],
    )  # fmt: skip


STUDY = Study(
    *HEADINGS["manifold"],
    claim="With a posterior family too simple for the model, IWAE, whose implicit posterior is "
    "richer, finds the better model.",
    presets=presets(30, {"mnist": 5}, paper_seeds=(0,)),
    runs=runs,
    conclude=conclude,
)
