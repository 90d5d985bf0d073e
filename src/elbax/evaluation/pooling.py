"""Rubin's rules: one estimate, and its uncertainty, from several imputed tables."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from elbax._errors import InputError


@dataclass(frozen=True)
class Pooled:
    """What m imputed tables say together of a number, or of several.

    Attributes:
        estimate: the mean of the m estimates.
        variance: total variance, `within + (1 + 1/m) between`.
        within: the mean of the m variances.
        between: the variance of the m estimates.
        freedom: degrees of freedom of Student's t.

    >>> found = pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    >>> found.estimate, round(found.variance, 4), round(found.freedom, 4)
    (2.0, 1.8333, 3.7812)
    """

    estimate: float | np.ndarray
    variance: float | np.ndarray
    within: float | np.ndarray
    between: float | np.ndarray
    freedom: float | np.ndarray

    def interval(self, level: float = 0.95) -> tuple[float | np.ndarray, float | np.ndarray]:
        """The interval that holds the truth with this probability.

        >>> low, high = pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5]).interval(0.95)
        >>> round(float(low), 3), round(float(high), 3)
        (-1.847, 5.847)
        """
        from scipy.stats import t

        half = t.ppf(0.5 + level / 2, self.freedom) * np.sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def pool(
    estimates: ArrayLike, variances: ArrayLike, *, complete_freedom: float | int = math.inf
) -> Pooled:
    """Pool the analyses of m imputed tables by Rubin's rules.

    Args:
        estimates: `[m, ..]`, m >= 2, one from each imputed table.
        variances: `[m, ..]`, the squared standard error of each.
        complete_freedom: degrees of freedom that the analysis of a complete table would have, for
            the correction of small samples; many if omitted.

    Raises:
        InputError: fewer than two estimates, other shapes, or a variance below 0.

    References: Rubin 1987, Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.2 to 3.1.6;
        Barnard & Rubin 1999 (Biometrika 86, 948), eq. 3, for few data.

    >>> float(pool([1.0, 2.0], [0.1, 0.3]).within)
    0.2
    """
    found, own = np.asarray(estimates, np.float64), np.asarray(variances, np.float64)
    if found.ndim == 0 or len(found) < 2 or found.shape != own.shape or not np.all(own >= 0):
        raise InputError(
            "expected estimates and variances >= 0 of the same shape [m, ..] with m >= 2; got "
            f"shapes {list(found.shape)} and {list(own.shape)}."
        )
    num = len(found)
    within, between = own.mean(axis=0), found.var(axis=0, ddof=1)
    total = within + (1 + 1 / num) * between
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (1 + 1 / num) * between / total  # of the variance that the holes cause
        freedom = np.where(share > 0, (num - 1) / share**2, np.inf)
    if math.isfinite(complete_freedom):
        v = complete_freedom
        observed = (v + 1) / (v + 3) * v * (1 - np.nan_to_num(share))
        freedom = 1 / (1 / freedom + 1 / observed)
    parts = (found.mean(axis=0), total, within, between, freedom)
    return Pooled(*(float(part) if np.ndim(part) == 0 else part for part in parts))
