"""The 2021 report's Figures 5 and 6: originals, and what each method makes of them."""

import jax
import numpy as np

from elbax.evaluation.posterior import prior_samples, reconstructions
from elbax.exhibits import ImagesExhibit, Panel, TableExhibit
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers import table1
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study

_SHOWN = 10


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """A strip of originals and one per method, samples of the prior, SSIM."""
    exhibits, verdicts = [], []
    for data in preset.data:
        dataset = found.store.dataset(data)
        x = np.asarray(dataset.evaluation_split("test", preset.budget.seed)[:_SHOWN])
        shown = {name: found.of(name, data)[0] for name in table1.LABELS}
        strips = [Panel("originals", dataset.intensities("test")[:_SHOWN], _SHOWN)]
        strips += [Panel(n, reconstructions(run.model, x), _SHOWN) for n, run in shown.items()]
        sheets = [
            Panel(n, prior_samples(run.model, 25, key=jax.random.key(0)), 5)
            for n, run in shown.items()
        ]
        exhibits += [
            ImagesExhibit(
                f"reconstructions-{data}",
                f"Reconstructions, {data}",
                "Test images in grey, and E[x | z] at the posterior mean of their binarisations.",
                strips,
            ),
            ImagesExhibit(f"samples-{data}", f"Samples, {data}", "Means of prior draws.", sheets),
            _table(data, found),
        ]
        verdicts.append(
            v.above(
                f"{data}: {table1.MIWAE8} reconstructs with a higher SSIM than IWAE",
                found.of(table1.MIWAE8, data), found.of(table1.IWAE, data), "ssim",
            )
        )  # fmt: skip
    return Findings(exhibits, verdicts)


def _table(data: str, found: Found) -> TableExhibit:
    rows = [[name, _over_images(found.of(name, data)[0])] for name in table1.LABELS]
    return TableExhibit(
        f"ssim-{data}",
        f"SSIM, {data}",
        "Structural similarity (Wang et al. 2004) between grey test images and reconstructions.",
        ["method", "SSIM"],
        rows,
        ("± is the standard deviation over test images, first seed.",),
    )


def _over_images(run: FoundRun) -> str:
    similar = run.per_datum("ssim")
    return f"{similar.mean():.3f} ± {similar.std(ddof=1):.3f}"


STUDY = Study(
    *HEADINGS["reconstructions"],
    claim="All methods reconstruct; those between the VAE and IWAE somewhat better than IWAE.",
    presets=table1.STUDY.presets,
    runs=table1.runs,
    conclude=conclude,
)
