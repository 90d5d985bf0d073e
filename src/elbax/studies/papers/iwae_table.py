"""Burda et al. 2015, Table 1: depth, number of samples and objective."""

from elbax.exhibits import TableExhibit, plus_minus
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers.common import reliability_of, units, values
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

KS = (1, 5, 50)
DEPTHS = (1, 2)

# Test NLL and active units: (depth, k) -> VAE, IWAE.
_PUBLISHED = {
    "mnist": {
        (1, 1): ("86.76 (19)", "86.76 (19)"),
        (1, 5): ("86.47 (20)", "85.54 (22)"),
        (1, 50): ("86.35 (20)", "84.78 (25)"),
        (2, 1): ("85.33 (16+5)", "85.33 (16+5)"),
        (2, 5): ("85.01 (17+5)", "83.89 (21+5)"),
        (2, 50): ("84.78 (17+5)", "82.90 (26+7)"),
    },
    "omniglot": {
        (1, 1): ("108.11 (28)", "108.11 (28)"),
        (1, 5): ("107.62 (28)", "106.12 (34)"),
        (1, 50): ("107.80 (28)", "104.67 (41)"),
        (2, 1): ("107.58 (28+4)", "107.56 (30+5)"),
        (2, 5): ("106.31 (30+5)", "104.79 (38+6)"),
        (2, 50): ("106.30 (30+5)", "103.38 (44+7)"),
    },
}


def runs(preset: Preset) -> list[PlannedRun]:
    """VAE and IWAE with k samples, one and two layers; with one sample they are the same."""
    return [
        run
        for data in preset.data
        for model in preset.depths.values()
        for k in KS
        for run in grid(
            data,
            [f"vae(m={k})", f"iwae(k={k})"][: 1 if k == 1 else 2],
            preset.seeds,
            model,
            preset.train(data),
        )
    ]


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """The table in the paper's form, with its values beside, and its orderings."""
    exhibits = [_table(data, found) for data in preset.data]
    return Findings(exhibits, [one for data in preset.data for one in _verdicts(data, found)])


def _of(found: Found, data: str, depth: int, k: int, kind: str) -> list[FoundRun]:
    members = found.of(f"{'VAE' if k == 1 else kind}({k})", data)
    return [run for run in members if len(run.plan.model.layers) == depth]


def _table(data: str, found: Found) -> TableExhibit:
    published = _PUBLISHED.get(data, {})
    paper = ["paper"] if published else []
    rows, shown = [], []
    for depth in DEPTHS:
        for k in KS:
            row = [f"{depth} layer{'s' if depth > 1 else ''}, k = {k}"]
            for place, kind in enumerate(("VAE", "IWAE")):
                members = _of(found, data, depth, k, kind)
                shown.append((f"{row[0]}, {kind}", members))
                nll = plus_minus([-value for value in values(members, "log_p_hat")])
                row.append(f"{nll} ({units(members)})")
                row += [published[depth, k][place]] if published else []
            rows.append([*row, f"{_seconds(found, data, depth, k):.0f} s"])
    return TableExhibit(
        f"table-{data}",
        f"Negative log-likelihood, {data}",
        "-log p-hat in nats (active units by layer)."
        + (" The paper's are of 3280 epochs, by 5000 samples." if published else ""),
        ["", "VAE", *paper, "IWAE", *paper, "fleet"],
        rows,
        (
            "± is the standard deviation over seeds.",
            "With k = 1, VAE and IWAE are the same: one run stands for both.",
            "fleet: wall-clock time of training all methods and seeds of the row.",
            *reliability_of(shown),
        ),
    )


def _seconds(found: Found, data: str, depth: int, k: int) -> float:
    members = _of(found, data, depth, k, "VAE")
    return float(members[0].results["training"].get("seconds") or float("nan"))


def _verdicts(data: str, found: Found) -> list[v.Verdict]:
    verdicts = []
    for depth in DEPTHS:
        layers = f"{data}, {depth} layer{'s' if depth > 1 else ''}"
        of = {(k, kind): _of(found, data, depth, k, kind) for k in KS for kind in ("VAE", "IWAE")}
        verdicts += [
            v.above(
                f"{layers}: IWAE({k}) has a higher log p-hat than VAE({k})",
                of[k, "IWAE"], of[k, "VAE"], "log_p_hat",
                published=_published(data, depth, (k, 1), (k, 0)),
            )
            for k in KS[1:]
        ]  # fmt: skip
        verdicts.append(
            v.above(
                f"{layers}: IWAE(50) has a higher log p-hat than IWAE(5)",
                of[50, "IWAE"], of[5, "IWAE"], "log_p_hat",
                published=_published(data, depth, (50, 1), (5, 1)),
            )
        )  # fmt: skip
        verdicts.append(
            v.more_units(
                f"{layers}: IWAE(50) has more active units than VAE(50)",
                of[50, "IWAE"], of[50, "VAE"],
            )
        )  # fmt: skip
    verdicts.append(
        v.above(
            f"{data}: two layers have a higher log p-hat than one under IWAE(50)",
            _of(found, data, 2, 50, "IWAE"), _of(found, data, 1, 50, "IWAE"), "log_p_hat",
            published=_deeper(data),
        )
    )  # fmt: skip
    return verdicts


def _nll(data: str, depth: int, k: int, place: int) -> float | None:
    cells = _PUBLISHED.get(data)
    return None if cells is None else float(cells[depth, k][place].split()[0])


def _published(data: str, depth: int, more: tuple[int, int], less: tuple[int, int]) -> float | None:
    high, low = _nll(data, depth, *more), _nll(data, depth, *less)
    return None if high is None or low is None else low - high


def _deeper(data: str) -> float | None:
    one, two = _nll(data, 1, 50, 1), _nll(data, 2, 50, 1)
    return None if one is None or two is None else one - two


STUDY = Study(
    *HEADINGS["iwae-table"],
    claim="IWAE learns better models than the VAE, the more so the more samples it takes, and "
    "uses more of its latent units; more samples hardly help the VAE.",
    presets=presets(
        15,
        {"mnist": 10, "omniglot": 6},
        {"mnist": 3280, "omniglot": 3280},
        paper_seeds=(0,),
    ),
    runs=runs,
    conclude=conclude,
)
