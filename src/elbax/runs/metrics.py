"""Which metrics are shown, what they are called, and what each one means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elbax.runs.groups import number


@dataclass(frozen=True)
class Metric:
    """One column of a table.

    Attributes:
        key: its name in `results.json`.
        name: its name on paper.
        decimals: how many are printed.
        meaning: one sentence for the reader.
        whole: a single run has a whole number, printed without decimals.
    """

    key: str
    name: str
    decimals: int
    meaning: str
    whole: bool = False

    @property
    def is_bound(self) -> bool:
        """Whether it is a bound on log p(x), or log p-hat."""
        return self.key.startswith("iwae_") or self.key == "log_p_hat"


def bounds(ks: Sequence[int]) -> dict[int, str]:
    """The key in `results.json` of IWAE-k for each k; that of the largest k is `log_p_hat`.

    >>> bounds([64, 1, 5000])
    {1: 'iwae_1', 64: 'iwae_64', 5000: 'log_p_hat'}
    """
    *smaller, largest = sorted(set(ks))
    return {k: f"iwae_{k}" for k in smaller} | {largest: "log_p_hat"}


def headline(ks: Sequence[int]) -> list[Metric]:
    """The columns of the headline table, for an evaluation with `ks` samples.

    >>> [metric.name for metric in headline([1, 64, 5000])]
    ['IWAE-64', 'log p-hat', 'bits/dim', 'gap_64', 'gap_1', 'active units', 'ESS', 'SSIM']
    """
    *smaller, largest = sorted(set(ks))
    scores = [_iwae(k) for k in reversed(smaller) if k > 1]
    gaps = [_gap(k) for k in reversed(smaller)]
    return [*scores, _log_p_hat(largest), BITS_PER_DIM, *gaps, _ACTIVE, _ess(largest), _SSIM]


def every(ks: Sequence[int]) -> list[Metric]:
    """The headline columns with IWAE-1, the ELBO, in its place among the bounds."""
    columns = headline(ks)
    if 1 in ks and len(set(ks)) > 1:
        place = [column.key for column in columns].index("log_p_hat")
        columns.insert(place, _iwae(1))
    return columns


def measured(columns: Sequence[Metric], runs: Sequence[dict[str, Any]]) -> list[Metric]:
    """Those metrics that at least one run has."""
    return [m for m in columns if any(number(value(run, m)) is not None for run in runs)]


def value(run: dict[str, Any], metric: Metric) -> Any:
    """The run's value of a metric, None where it was not measured."""
    return run["metrics"].get(metric.key)


def _iwae(k: int) -> Metric:
    what = "The ELBO: the" if k == 1 else "The"
    return Metric(
        key=f"iwae_{k}",
        name=f"IWAE-{k}",
        decimals=2,
        meaning=f"{what} importance-weighted bound on log p(x) with {k} "
        f"sample{'' if k == 1 else 's'} per datum, averaged over held-out data; higher is better.",
    )


def _log_p_hat(k: int) -> Metric:
    return Metric(
        key="log_p_hat",
        name="log p-hat",
        decimals=2,
        meaning=f"The estimate of the held-out log-likelihood, which is IWAE-{k}; it still lies "
        "below the truth on average, and higher is better.",
    )


def _gap(k: int) -> Metric:
    what = "the ELBO's gap, an estimate of -KL(q(z|x) || p(z|x))" if k == 1 else "the bound's gap"
    return Metric(
        key=f"gap_{k}",
        name=f"gap_{k}",
        decimals=3,
        meaning=f"IWAE-{k} minus log p-hat, {what}: at most 0 up to Monte Carlo error, and near 0 "
        "where the inference network serves its generative network well.",
    )


def _ess(k: int) -> Metric:
    return Metric(
        key="ess",
        name="ESS",
        decimals=1,
        meaning=f"The effective sample size (sum w)^2 / sum w^2 of the importance weights, out of "
        f"{k}, averaged over held-out data; higher means a posterior approximation that fits.",
    )


BITS_PER_DIM = Metric(
    key="bits_per_dim",
    name="bits/dim",
    decimals=3,
    meaning="log p-hat of levels of intensity in bits for each value of a datum, -log p-hat / "
    "(D log 2) with D values (pixels times colours): what a lossless code would need; lower is "
    "better.",
)

_ACTIVE = Metric(
    key="active_units",
    name="active units",
    decimals=1,
    meaning="How many latent units the data move: those whose posterior mean has a variance above "
    "0.01 over the data; a count, not a score. Of several layers, that nearest to the data first.",
    whole=True,
)

_SSIM = Metric(
    key="ssim",
    name="SSIM",
    decimals=3,
    meaning="The structural similarity of held-out images with their reconstructions from the "
    "posterior mean, 1 where they are equal.",
)

# Other estimates of log p(x) than log p-hat, in the order of their table.
CHECKS = (
    Metric(
        "ais",
        "AIS",
        2,
        "log p(x) by annealed importance sampling from the encoder, averaged over the same data: "
        "like log p-hat a lower bound in expectation, by far fewer chains that each go further.",
    ),
    Metric(
        "ais_gain",
        "AIS - log p-hat",
        3,
        "AIS minus log p-hat, paired: well above 0, log p-hat is too low by at least so much.",
    ),
    Metric(
        "sumo",
        "SUMO",
        2,
        "An unbiased estimate of log p(x), no bound, by a series of IWAE-k cut off at random, from "
        "about as many samples as log p-hat; where k-hat is large a few data may be far off.",
    ),
    Metric(
        "sumo_gain",
        "SUMO - log p-hat",
        3,
        "SUMO minus log p-hat, paired: within its error of 0 where log p-hat has no bias to see.",
    ),
    Metric(
        "bdmc_iwae",
        "simulated: IWAE",
        2,
        "IWAE at the largest k of data simulated from the model itself.",
    ),
    Metric(
        "bdmc_lower",
        "BDMC lower",
        2,
        "A lower bound in expectation on log p(x) of these simulated data, by chains from the "
        "encoder to the posterior.",
    ),
    Metric(
        "bdmc_upper",
        "BDMC upper",
        2,
        "An upper bound in expectation on the same, by chains backwards from an exact draw of the "
        "posterior, which simulated data have.",
    ),
    Metric(
        "short_least",
        "short by at least",
        3,
        "BDMC lower minus IWAE, paired: in expectation IWAE lies at least so far below log p(x).",
    ),
    Metric(
        "short_most",
        "at most",
        3,
        "BDMC upper minus IWAE, paired: in expectation IWAE lies at most so far below log p(x).",
    ),
)
