"""`OutlierDetector`: rows of low density, told from the others by a threshold."""

from typing import Any, no_type_check

import numpy as np
from sklearn.base import OutlierMixin

from elbax._checks import check_count
from elbax._errors import InputError
from elbax.sklearn.base import ScoringEstimator
from elbax.tables.table import Table


class OutlierDetector(OutlierMixin, ScoringEstimator):
    r"""Rows that a density finds unusual.

    Args:
        method: see `Density`.
        contamination: share of the rows of `fit` that are outliers, in (0, 0.5].
        trim: share of the rows that training leaves out, those of the lowest scores, where the data
            are contaminated: the density is then not one of the outliers too. 0 trains on all.
        trim_rounds: how often, after a first training on all rows, rows are chosen and the model is
            trained anew.
        p_draws: where > 0, rows are compared by p-values, against so many draws of the model with
            the holes of each row: for rows with different holes, the densities of which are not on
            one scale. With n draws no p-value is below 1 / (n + 1).
        types: see `Density`.
        unseen: see `Density`.
        hidden: see `Density`.
        latents: see `Density`.
        missing: see `Density`.
        homoscedastic: one learned scale for each real column. Where the scale depends on the
            latents, a density rises without limit at values that repeat (rounded, or cut off at
            0), and then says which rows have such values rather than which are unusual.
        epochs: see `Density`; those of every round.
        batch_size: see `Density`.
        learning_rate: see `Density`.
        num_samples: see `Density`.
        most_samples: see `Density`.
        random_state: see `Density`.

    Attributes:
        offset_: the threshold: `decision_function` is `score_samples` less this.
        trimmed_: `[N]`, which rows of `fit` the last training left out.

    References: Rousseeuw & Van Driessen 1999, A fast algorithm for the minimum covariance
        determinant estimator, for trimming by concentration steps.

    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> detector = OutlierDetector(
    ...     hidden=(4,), latents=1, epochs=1, num_samples=25, random_state=0).fit(X)
    >>> int((detector.predict(X) == -1).sum())
    4
    """

    @no_type_check  # scikit-learn's rule: a constructor takes anything, `fit` refuses
    def __init__(
        self,
        method: Any = "iwae(k=20, gradient=dreg)",
        *,
        contamination: float = 0.1,
        trim: float = 0.0,
        trim_rounds: int = 2,
        p_draws: int = 0,
        types: Any = None,
        unseen: str = "error",
        hidden: tuple[int, ...] = (128, 128, 128),
        latents: int | tuple[int, ...] = 10,
        missing: str = "random",
        homoscedastic: bool = True,
        epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float | None = None,
        num_samples: int = 1000,
        most_samples: int | None = None,
        random_state: Any = None,
    ):
        self.method = method
        self.contamination = contamination
        self.trim = trim
        self.trim_rounds = trim_rounds
        self.p_draws = p_draws
        self.types = types
        self.unseen = unseen
        self.hidden = hidden
        self.latents = latents
        self.missing = missing
        self.homoscedastic = homoscedastic
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.num_samples = num_samples
        self.most_samples = most_samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None):
        """Learn the density of the rows of X, and the threshold below which rows are outliers.

        Args:
            X: `[N, columns]`, NaN where nothing was observed; or a frame, texts in it too.
            y: ignored.

        Raises:
            ValueError: X or an argument cannot be used; the sentence says why.
        """
        if not 0 < self.contamination <= 0.5:
            raise InputError(f"expected contamination in (0, 0.5]; got {self.contamination}.")
        if not 0 <= self.trim <= 0.5:
            raise InputError(f"expected trim in [0, 0.5]; got {self.trim}.")
        check_count("trim_rounds", self.trim_rounds)
        check_count("p_draws", self.p_draws, 0)
        return super().fit(X, y)

    def _fitted(self, table: Table) -> None:
        left_out = int(self.trim * len(table))
        self.trimmed_ = np.zeros(len(table), bool)
        for _ in range(self.trim_rounds if left_out else 0):
            lowest = np.argsort(self._scores(table), kind="stable")[:left_out]
            trimmed = np.zeros(len(table), bool)
            trimmed[lowest] = True
            if (trimmed == self.trimmed_).all():  # nothing would change
                break
            self.trimmed_ = trimmed
            self._train(table.rows(~trimmed))
        self.offset_ = float(np.percentile(self._scores(table), 100 * self.contamination))

    def _scores(self, table: Table) -> np.ndarray:
        found = self._scored(table, self.p_draws)
        return found.log_p_hat if found.p_value is None else found.p_value

    def score_samples(self, X: Any) -> np.ndarray:
        """How usual every row is, `[N]`: log p-hat in nats, or a p-value where `p_draws` > 0."""
        return self._scores(self._read(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples` less `offset_`, `[N]`: below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for outliers and 1 for the others, `[N]`."""
        return np.where(self.decision_function(X) < 0, -1, 1)
