"""`Imputer`: holes filled by a density, with what is known of how well."""

from typing import Any, no_type_check

import narwhals as nw
import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from elbax._checks import check_count
from elbax._errors import InputError
from elbax.evaluation.imputation import Imputed, impute, multiple_imputations
from elbax.sklearn.base import TableEstimator
from elbax.sklearn.reading import cells_of, is_mixed, never_varies, stacked, types_of, under
from elbax.tables.raw import Raw
from elbax.tables.schema import REAL
from elbax.tables.table import Table


class Imputer(OneToOneFeatureMixin, TransformerMixin, TableEstimator):
    r"""Fill holes by what the rest of a row says of them.

    Arguments that `sklearn.impute.IterativeImputer` has mean what they mean there. A column that
    never varies is filled with its only value, and one without any observed cell is left out.

    Args:
        method: see `Density`.
        missing_values: what stands for a hole, beside NaN.
        statistic: what a hole is filled with: "mean", "median", "mode", or a quantile in (0, 1).
        min_value: least value of a filled cell: a number, or one for each feature.
        max_value: likewise the largest.
        add_indicator: append `sklearn.impute.MissingIndicator` of the features that had holes.
        keep_empty_features: whether a column without any observed cell is kept, filled with 0.
        types: see `Density`.
        unseen: see `Density`; taken for missing, such a cell is filled in.
        hidden: see `Density`.
        latents: see `Density`.
        missing: see `Density`.
        homoscedastic: see `Density`.
        epochs: see `Density`.
        batch_size: see `Density`.
        learning_rate: see `Density`.
        num_samples: K draws of each row, at least 25.
        num_models: models to train, more than one each on a resample of the rows (a bootstrap).
            Imputations are then proper, one of each model, and what `transform` fills in is that
            of the models' mixture.
        random_state: a seed or a generator, of training and of draws.

    Attributes:
        indicator_: the `MissingIndicator`, or None.

    References: Mattei & Frellsen 2019 (arXiv 1812.02633), section 3.2; Little & Rubin 2019,
        Statistical Analysis with Missing Data, chapter 10, for imputations by bootstrap.

    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> X[::3, 1] = np.nan
    >>> imputer = Imputer(hidden=(4,), latents=1, epochs=1, num_samples=25, random_state=0).fit(X)
    >>> bool(np.isnan(imputer.transform(X)).any()), imputer.sample_imputations(X, 3).shape
    (False, (3, 40, 2))
    """

    most_samples = None

    @no_type_check  # scikit-learn's rule: a constructor takes anything, `fit` refuses
    def __init__(
        self,
        method: Any = "iwae(k=20, gradient=dreg)",
        *,
        missing_values: Any = np.nan,
        statistic: str | float = "mean",
        min_value: Any = -np.inf,
        max_value: Any = np.inf,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        types: Any = None,
        unseen: str = "error",
        hidden: tuple[int, ...] = (128, 128, 128),
        latents: int | tuple[int, ...] = 10,
        missing: str = "random",
        homoscedastic: bool = False,
        epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float | None = None,
        num_samples: int = 1000,
        num_models: int = 1,
        random_state: Any = None,
    ):
        self.method = method
        self.missing_values = missing_values
        self.statistic = statistic
        self.min_value = min_value
        self.max_value = max_value
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
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
        self.num_models = num_models
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None):
        """Learn the density of the rows of X.

        Args:
            X: `[N, columns]`, NaN where nothing was observed; or a frame, texts in it too.
            y: ignored.

        Raises:
            ValueError: X cannot be used; the sentence says why.
        """
        raw = cells_of(self, X, reset=True, missing_values=self.missing_values)
        # Without anything to learn: filled with their only value, or with nothing.
        aside = [cells for cells in raw.columns if never_varies(cells)]
        self._constants = {cells.name: _only(cells) for cells in aside}
        types = types_of(self.types, raw) | {cells.name: "ignore" for cells in aside}
        if len(aside) == len(raw.columns):
            raise InputError("expected a column that varies; in X none does.")
        self._names = raw.names
        self._fit_table(raw, types)
        self._limits()
        self.indicator_ = None
        if self.add_indicator:
            self.indicator_ = MissingIndicator(error_on_new=False).fit(_holes(raw))
        return self

    def transform(self, X: Any) -> Any:
        """X with its holes filled; observed cells stay as they are.

        Returns:
            `[N, columns]` float64, or a frame like X where that holds texts.
        """
        table = self._read(X)
        return self._shown(X, table, self._imputed(table, self.statistic).values)

    def conditional_quantile(self, X: Any, quantile: float) -> Any:
        """X with holes filled by a quantile of the cell given the rest of its row.

        Args:
            X: rows.
            quantile: in (0, 1); categories are filled with the likeliest whatever it is.
        """
        table = self._read(X)
        return self._shown(X, table, self._imputed(table, quantile).values)

    def conditional_std(self, X: Any) -> np.ndarray:
        """Standard deviation of every cell given the rest of its row, in the units of X.

        Returns:
            `[N, columns]` as `transform` has them, without its indicators: 0 where a cell was
            observed, the probability of another category where categories were filled in.
        """
        table = self._read(X)
        sd = np.nan_to_num(self._imputed(table, "mean").sd)
        places = {column.name: place for place, column in enumerate(self.schema_.columns)}
        scale = np.array([c.scale if c.kind in REAL else 1.0 for c in self.schema_.columns])
        columns = {
            name: sd[:, places[name]] * scale[places[name]] if name in places else np.zeros(len(sd))
            for name in self._kept()
        }
        return stacked(columns)

    def sample_imputations(self, X: Any, m: int | None = None) -> Any:
        """X with its holes filled m times, each time by a draw of what they may have been.

        With `num_models` above 1 they are proper, each of a model of its own, and intervals pooled
        from them (`elbax.pool`) hold what they promise. Those of one model do not differ by what
        is unknown of its parameters.

        Args:
            X: rows.
            m: how many; as many as models if None, and 5 of one model.

        Returns:
            `[m, N, columns]`, or m frames like X where that holds texts.

        Raises:
            ValueError: more than there are models, where there are several.
        """
        table, count = self._read(X), len(self._models)
        m = (5 if count == 1 else count) if m is None else check_count("m", m)
        if 1 < count < m:
            raise InputError(
                f"expected m <= num_models = {count}, one imputation of each model; got {m}. Fit "
                "with as many models as imputations."
            )
        several = count > 1
        lowest, highest = self._limits()
        found = multiple_imputations(
            self._models[:m] if several else self._model,
            under(table, self._shared),
            None if several else m,
            num_samples=self.num_samples,
            min_value=lowest,
            max_value=highest,
            seed=self._seed,
        )
        shown = [self._shown(X, table, values, indicate=False) for values in found.values]
        return shown if is_mixed(X) else np.stack(shown)

    def _imputed(self, table: Table, statistic: str | float) -> Imputed:
        lowest, highest = self._limits()
        return impute(
            self._models,
            under(table, self._shared),
            statistic=statistic,
            num_samples=self.num_samples,
            min_value=lowest,
            max_value=highest,
            seed=self._seed,
        )

    def _limits(self) -> tuple[dict[str, float], dict[str, float]]:
        """Limits by column of the model, in its units."""
        found = []
        for name in ("min_value", "max_value"):
            given = np.asarray(getattr(self, name), np.float64)
            if given.ndim > 1 or (given.ndim and len(given) != self.n_features_in_):
                raise InputError(
                    f"expected {name} as a number, or one for each of {self.n_features_in_} "
                    f"features; got shape {list(given.shape)}."
                )
            by_name = dict(zip(self._names, np.broadcast_to(given, len(self._names)), strict=True))
            limits = {}
            for place, column in enumerate(self.schema_.columns):
                value = float(by_name[column.name])
                if np.isfinite(value) and not column.is_category:
                    real = column.kind in REAL
                    limits[f"x{place}"] = (value - column.center) / column.scale if real else value
            found.append(limits)
        return found[0], found[1]

    def _kept(self) -> list[str]:
        """Names of the columns that come out."""
        if self.keep_empty_features:
            return list(self._names)
        return [name for name in self._names if self._constants.get(name, 0) is not None]

    def _shown(self, X: Any, table: Table, values: np.ndarray, indicate: bool = True) -> Any:
        """Filled cells as the user has them."""
        there = table.columns(values)
        missing = {cells.name: cells.missing for cells in table.raw.columns}
        columns = {}
        for name in self._kept():
            columns[name] = there[name]
            if name in self._constants:
                only = self._constants[name]
                columns[name] = np.where(missing[name], 0.0 if only is None else only, there[name])
        if is_mixed(X):
            return self._framed(X, columns, table.raw if indicate else None)
        found = stacked(columns)
        if self.indicator_ is None or not indicate:
            return found
        return np.hstack([found, np.asarray(self.indicator_.transform(_holes(table.raw)))])

    def _framed(self, X: Any, columns: dict[str, np.ndarray], raw: Raw | None) -> Any:
        if self.indicator_ is not None and raw is not None:
            names = np.asarray(self.indicator_.get_feature_names_out(self._names))
            flags = np.asarray(self.indicator_.transform(_holes(raw)))
            columns |= {str(name): flags[:, place] for place, name in enumerate(names)}
        frame = stacked(columns, X)
        if (index := nw.maybe_get_index(nw.from_native(X))) is not None:
            frame.index = index
        return frame

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that `transform` returns, those of the indicators last."""
        check_is_fitted(self)
        names = np.asarray(_check_feature_names_in(self, input_features))
        kept = set(self._kept())
        shown = [name for name, own in zip(names, self._names, strict=True) if own in kept]
        if self.indicator_ is not None:
            shown += np.asarray(self.indicator_.get_feature_names_out(names)).tolist()
        return np.asarray(shown, dtype=object)


def _only(cells) -> Any:
    """The only value of a column that never varies; None where it has none."""
    found = cells.texts if cells.numbers is None else cells.numbers
    seen = found[~cells.missing]
    return None if len(seen) == 0 else seen.tolist()[0]


def _holes(raw: Raw) -> np.ndarray:
    """Zeros, NaN where a cell is missing: all that an indicator asks of cells."""
    missing = np.column_stack([cells.missing for cells in raw.columns])
    return np.where(missing, np.nan, 0.0)
