"""The 2021 report's Figure 4: CIWAE from several betas, fixed and learned by each rule."""

import numpy as np
import scipy.stats

from elbax.evaluation.paired import CONFIDENCE
from elbax.exhibits import LinesExhibit, TableExhibit, plus_minus
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers.common import curve, reliability_of, values
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

STARTS = (0.1, 0.35, 0.65, 0.9)
RULES = {
    "fixed": "",
    "by noise": ", learn=noise",
    "ascending": ", learn=ascend",
    "descending": ", learn=descend",  # the report's Eq. 16, read as it stands
}


def _method(start: float, rule: str) -> str:
    return f"ciwae(k=64, beta={start}{RULES[rule]})"


def runs(preset: Preset) -> list[PlannedRun]:
    """Every start under every rule."""
    data = preset.data[0]
    methods = [_method(start, rule) for rule in RULES for start in STARTS]
    return grid(data, methods, preset.seeds, preset.model, preset.train(data))


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """Spread over starts with and without learning, the paths of beta, and where they end."""
    planned = runs(preset)
    by_plan = dict(zip(planned, found.runs, strict=True))
    size = len(STARTS) * len(preset.seeds)
    groups = {
        rule: [by_plan[run] for run in planned[place * size : (place + 1) * size]]
        for place, rule in enumerate(RULES)
    }
    rows = [
        [
            rule,
            plus_minus(values(members, "iwae_64")),
            plus_minus(values(members, "log_p_hat")),
            ", ".join(
                f"{_last_beta(run, start):.2f}"
                for start, run in zip(STARTS, members[:: len(preset.seeds)], strict=True)
            ),
        ]
        for rule, members in groups.items()
    ]
    table = TableExhibit(
        "beta",
        f"CIWAE(64) from beta = {', '.join(map(str, STARTS))}, {preset.data[0]}",
        "The report has IWAE-64 of -80.34 ± 0.49 with learning and -81.99 ± 2.98 without "
        "(caption; its text says -81.29).",
        ["beta", "IWAE-64", "log p-hat", "beta at the end"],
        rows,
        (
            "± is the standard deviation over starts and seeds.",
            "In nats per datum.",
            *reliability_of(list(groups.items())),
        ),
    )
    paths = [_paths(rule, groups[rule][:: len(preset.seeds)]) for rule in list(RULES)[1:]]
    return Findings([table, *paths], _verdicts(groups))


def _paths(rule: str, members: list[FoundRun]) -> LinesExhibit:
    """Beta against epochs from every start, first seed."""
    return LinesExhibit(
        f"paths-{rule.replace(' ', '-')}",
        f"Paths of beta, {rule}",
        "First seed. The derivative of the bound in beta is L_1 - L_K, which is never positive: "
        "ascending the bound drives beta to 0, descending it to 1.",
        "epoch",
        "beta",
        [
            {"label": f"from {start}", **curve([run], "beta")}
            for start, run in zip(STARTS, members, strict=True)
        ],
    )


def _last_beta(run: FoundRun, otherwise: float = float("nan")) -> float:
    known = [record["beta"] for record in run.curve if record.get("beta") is not None]
    return known[-1] if known else otherwise


def _verdicts(groups: dict[str, list[FoundRun]]) -> list[v.Verdict]:
    narrower = [_narrower(rule, groups[rule], groups["fixed"]) for rule in list(RULES)[1:]]
    ascend, descend = list(RULES)[2:]
    return [
        *narrower,
        _moves("Ascending the bound lowers beta from every start", groups[ascend], -1),
        _moves(
            "Descending it, as the report's Eq. 16 reads, raises beta from every start",
            groups[descend],
            1,
        ),
    ]


def _moves(claim: str, members: list[FoundRun], sign: int) -> v.Verdict:
    """The claim that beta ends on one side of its start, in every run that finished."""
    starts = np.repeat(STARTS, len(members) // len(STARTS))
    ends = [(_last_beta(run), start) for run, start in zip(members, starts, strict=True) if run.ok]
    if not ends:
        return v.untestable(claim, "no run finished")
    last = [end for end, _ in ends]
    reason = f"ends at {min(last):.2f} to {max(last):.2f}"
    reason += ": towards the plain ELBO" if sign > 0 else ""
    return v.holds(claim, all(sign * (end - start) > 0 for end, start in ends), reason)


def _narrower(rule: str, learned: list[FoundRun], fixed: list[FoundRun]) -> v.Verdict:
    """F test of the two variances."""
    claim = f"Learned {rule}, IWAE-64 spreads less over the starts than with beta fixed"
    ours, theirs = (np.array(values(runs, "iwae_64")) for runs in (learned, fixed))
    if min(len(ours), len(theirs)) < 3:
        return v.untestable(claim, "fewer than three runs finished")
    ratio = ours.var(ddof=1) / theirs.var(ddof=1)
    low, high = scipy.stats.f.ppf([1 - CONFIDENCE, CONFIDENCE], len(ours) - 1, len(theirs) - 1)
    spread = float(ours.std(ddof=1) - theirs.std(ddof=1))
    reason = f"sd {ours.std(ddof=1):.2f} against {theirs.std(ddof=1):.2f}"
    if low < ratio < high:
        return v.Verdict(claim, 0.49 - 2.98, spread, None, v.NOT_TESTABLE, f"{reason}, by chance")
    verdict = v.REPRODUCED if ratio <= low else v.NOT_REPRODUCED
    return v.Verdict(claim, 0.49 - 2.98, spread, None, verdict, reason)


STUDY = Study(
    *HEADINGS["beta"],
    claim="Learning beta makes CIWAE's IWAE-64 depend less on where beta starts.",
    presets=presets(20, {"mnist": 2}, quick_seeds=(0, 1), paper_seeds=(0,)),
    runs=runs,
    conclude=conclude,
)
