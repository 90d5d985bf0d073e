"""A Gaussian with a full covariance, fitted to a table with holes by EM: what a density must beat.

Missing at random. Float64 NumPy and closed forms, nothing of elbax: given the observed cells x_o of
a row, its missing ones are normal with mean mu_m + S_mo S_oo^-1 (x_o - mu_o) and covariance
S_mm - S_mo S_oo^-1 S_om. References: Dempster, Laird & Rubin 1977; Little & Rubin 2019, chapter 11.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussian:
    """A mean `[C]` and a covariance `[C, C]`."""

    mean: np.ndarray
    covariance: np.ndarray

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log p of the observed cells of every row `[N]`, in nats."""
        centered, precision, log_det, seen = self._parts(x)
        square = np.einsum("ni,nij,nj->n", centered, precision, centered)
        return -0.5 * (square + log_det + seen.sum(axis=1) * np.log(2 * np.pi))

    def conditional(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows `[N, C]` with holes at their conditional means, and covariances `[N, C, C]`."""
        centered, precision, _, seen = self._parts(x)
        gain = self.covariance @ precision
        filled = self.mean + np.einsum("nij,nj->ni", gain, centered)
        left = self.covariance - gain @ self.covariance
        holes = ~seen
        left *= holes[:, :, None] & holes[:, None, :]
        return np.where(seen, x, filled), left

    def _parts(self, x: np.ndarray):
        """Zeros in holes, S_oo^-1 with zeros around it, log |S_oo| and the mask."""
        seen = ~np.isnan(x)
        both = seen[:, :, None] & seen[:, None, :]
        # S_oo and an identity for what is missing: one determinant, one inverse for all patterns.
        whole = np.where(both, self.covariance, np.eye(x.shape[1]))
        precision = np.linalg.inv(whole) * both
        return np.where(seen, x - self.mean, 0), precision, np.linalg.slogdet(whole)[1], seen


def fit(
    x: np.ndarray, *, tolerance: float = 1e-7, most: int = 2000
) -> tuple[Gaussian, list[float]]:
    """The maximum of the observed-data likelihood, and mean log-likelihoods on the way.

    Until a step gains less than `tolerance` nats per row.
    """
    now = Gaussian(np.nanmean(x, axis=0), np.diag(np.nanvar(x, axis=0)))
    course: list[float] = []
    for _ in range(most):
        course.append(float(now.log_density(x).mean()))
        if len(course) > 1 and course[-1] - course[-2] < tolerance:
            break
        filled, left = now.conditional(x)
        mean = filled.mean(axis=0)
        off = filled - mean
        now = Gaussian(mean, (off.T @ off + left.sum(axis=0)) / len(x))
    return now, course


def draw(gaussian: Gaussian, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows with holes drawn from their conditional distribution."""
    filled, left = gaussian.conditional(x)
    values, vectors = np.linalg.eigh(left)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, None]
    noise = np.einsum("nij,nj->ni", roots, rng.standard_normal(x.shape))
    return np.where(np.isnan(x), filled + noise, x)
