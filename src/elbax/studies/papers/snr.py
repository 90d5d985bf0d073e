"""Rainforth et al. 2018, Figures 1 to 4: signal-to-noise ratios of gradients on their toy."""

from elbax.exhibits import TableExhibit
from elbax.runs.snr_study import LINES, toy_study
from elbax.studies import verdicts as v
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

_DRAWS = 8000  # with fewer, IWAE's inference network is under the noise
_PAPER_DRAWS = 10_000


def runs(preset: Preset) -> list[PlannedRun]:
    """None: the toy's parameters are known, not trained."""
    return []


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """Slopes of log SNR against log T, beside theory."""
    content = toy_study(
        num_draws=_PAPER_DRAWS if preset.is_paper else _DRAWS,
        seed=preset.seeds[0],
        with_histograms=True,
        progress=lambda done: told("gradients of the toy", done),
    )
    rows, verdicts = [], []
    for line in content["lines"]:
        row = [f"{line['label']} in {line['along']}"]
        for network in ("generative", "inference"):
            group = line["groups"][network]
            row += [_slope(group), f"{group['predicted']:+.1f}"]
            verdicts.append(_verdict(line, network, group))
        rows.append(row)
    table = TableExhibit(
        "slopes",
        "Slopes of log SNR against log of the number of samples",
        "Gaussian toy of 20 dimensions, parameters 0.01 from the optimum, where theory holds.",
        ["method", "generative", "theory", "inference", "theory"],
        rows,
        ("± is the standard error of the draws, by the jackknife over bins.",),
    )
    return Findings([table, _far(preset, told)], verdicts, snr=content)


def _far(preset: Preset, told: Told) -> TableExhibit:
    """Far from the optimum, where the weights degenerate and no slope is asymptotic."""
    content = toy_study(
        offset=0.1,
        num_draws=_DRAWS // 4,
        seed=preset.seeds[0],
        lines=[line for line in LINES if line.label in ("IWAE", "ELBO", "MIWAE K=4", "DReG")],
        progress=lambda done: told("gradients far from the optimum", done),
    )
    rows = [
        [
            f"{line['label']} in {line['along']}",
            *(_slope(line["groups"][network]) for network in ("generative", "inference")),
        ]
        for line in content["lines"]
    ]
    return TableExhibit(
        "far",
        "The same, far from the optimum",
        "Parameters 0.1 from it (Rainforth et al., Figure 4). Not tested: theory is asymptotic in "
        "samples that are effective, and here few are.",
        ["method", "generative", "inference"],
        rows,
        ("± is the standard error of the draws, by the jackknife over bins.",),
    )


def _slope(group: dict) -> str:
    if group["slope"] is None:
        return "noise"
    return f"{group['slope']:+.2f} ± {group['error'] or 0:.2f}"


def _verdict(line: dict, network: str, group: dict) -> v.Verdict:
    claim = (
        f"{line['label']}: SNR of the {network} network goes as {line['along']}^"
        f"{group['predicted']:+.1f} ({line['source']})"
    )
    if group["slope"] is None:
        return v.Verdict(claim, group["predicted"], None, None, v.NOT_TESTABLE, "under the noise")
    verdict = {"pass": v.REPRODUCED, "fail": v.NOT_REPRODUCED}[group["verdict"]]
    reason = "tolerance 0.15 and two standard errors"
    return v.Verdict(claim, group["predicted"], group["slope"], group["error"], verdict, reason)


STUDY = Study(
    *HEADINGS["snr"],
    claim="The SNR of the generative network grows with the square root of all samples; that of "
    "the inference network falls with the square root of K under IWAE, and grows under the ELBO, "
    "MIWAE (in M) and DReG.",
    presets=presets(1, {"digits": 1}, {"digits": 1}),
    runs=runs,
    conclude=conclude,
)
