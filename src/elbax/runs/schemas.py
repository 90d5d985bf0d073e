"""What files of an evaluation, of `elbax snr` and of options of `evaluate` hold at least."""

from typing import Any, NotRequired, TypedDict

Numbers = list[float | None]


class Environment(TypedDict):
    """Where something was computed."""

    device: NotRequired[str | None]
    processor: NotRequired[str | None]
    threads: NotRequired[int | None]
    versions: NotRequired[dict[str, str] | None]
    flags: NotRequired[dict[str, str] | None]


class Evaluation(Environment):
    """The settings of an evaluation, and where it was."""

    ks: list[int]
    num_data: NotRequired[int | None]
    seed: NotRequired[int]


class Curve(TypedDict):
    """IWAE-k against k."""

    k: list[int]
    mean: list[float]
    standard_error: list[float]


class Checks(TypedDict):
    """How other estimates of log p(x) were made, and their errors."""

    steps: NotRequired[int]
    chains: NotRequired[int]
    acceptance: NotRequired[float | None]
    ais_error: NotRequired[float | None]
    num_simulated: NotRequired[int]
    bdmc_unknown: NotRequired[str]
    sumo_repeats: NotRequired[int]
    sumo_error: NotRequired[float | None]


class Run(TypedDict):
    """What was found of one run."""

    name: str
    method: str
    label: str
    status: str
    metrics: dict[str, float | None]
    seed: NotRequired[int | None]
    curve: NotRequired[Curve]
    active_units: NotRequired[list[int] | None]
    standard_errors: NotRequired[dict[str, float | None]]
    ssim_sd: NotRequired[float | None]
    num_nonfinite: NotRequired[dict[str, int] | int | None]
    num_unreliable: NotRequired[int | None]
    mc_error: NotRequired[float | None]
    checks: NotRequired[Checks]


class Training(Environment):
    """What training cost, and where it was."""

    epochs: NotRequired[int | None]
    epochs_in_all: NotRequired[int | None]


class Results(TypedDict):
    """A results.json."""

    dataset: dict[str, Any]
    evaluation: Evaluation
    training: Training
    runs: list[Run]


class Group(TypedDict):
    """Ratios of one network or layer, one number for each size."""

    snr: Numbers
    low: Numbers
    high: Numbers
    floor: list[float]
    dsnr: Numbers
    dsnr_low: Numbers
    dsnr_high: Numbers
    slope: float | None
    error: float | None
    predicted: float | None
    verdict: str


class Line(TypedDict):
    """One method of an SNR study."""

    label: str
    along: str
    groups: dict[str, Group]


class Histogram(TypedDict):
    """Draws of one parameter's gradient."""

    network: str
    k: int
    draws: list[float]


class Ess(TypedDict):
    """The effective sample sizes of one run."""

    label: str
    samples: int
    ess: list[float]


class Snr(TypedDict):
    """An snr.json."""

    format: int
    sizes: list[int]
    num_draws: list[int]
    tolerance: float
    lines: list[Line]
    notes: NotRequired[list[str]]
    model: NotRequired[dict[str, Any]]
    histograms: NotRequired[list[Histogram]]
    ess: NotRequired[list[Ess]]


class UnitsOfRun(TypedDict):
    """Which units of one run are active, layer by layer."""

    name: str
    active: list[int]
    variances: list[Numbers]
    change: float | None
    standard_error: float | None


class Units(TypedDict):
    """A units.json."""

    format: int
    threshold: float
    runs: list[UnitsOfRun]


class Ranks(TypedDict):
    """Ranks of some latents of one run among one kind of draws."""

    latents: str
    kind: str
    shares: list[float]
    error: float
    coverage: list[float]
    coverage_error: list[float]
    p_value: float


class RanksOfRun(TypedDict):
    """All ranks of one run."""

    name: str
    found: list[Ranks]


class CalibrationFile(TypedDict):
    """A calibration.json."""

    format: int
    num_data: int
    num_draws: int
    runs: list[RanksOfRun]
