"""What the estimators share: fitting, scoring, and a state without code of ours in it."""

import warnings
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from elbax._checks import check_count
from elbax.evaluation.scores import Scores, score
from elbax.models.build import build
from elbax.models.config import ModelConfig
from elbax.models.describe import config_of
from elbax.models.interface import Model
from elbax.models.saved import load, save
from elbax.models.weights import arrays_of, with_arrays
from elbax.runs.epochs import MOST, chosen_epochs
from elbax.sklearn.reading import cells_of, is_mixed, offsets, shared, types_of, under
from elbax.tables.raw import Raw
from elbax.tables.schema import Schema, schema_from
from elbax.tables.table import Table, table_of
from elbax.training.config import TrainConfig
from elbax.training.fit import fit


class TableEstimator(BaseEstimator):
    """A density of rows with holes, trained by a multi-sample bound; the base of the estimators.

    A class that inherits from it has in its own signature whatever is read here.

    Attributes:
        schema_: what the columns are, by the data of `fit`.
        epochs_: the epochs of training.
        n_features_in_: how many columns X had in `fit`.
        feature_names_in_: their names, where they had names.
    """

    missing_values: Any = np.nan
    schema_: Schema
    epochs_: int
    n_features_in_: int
    _shared: Schema
    _models: tuple[Model, ...]
    _seed: int
    num_models: int = 1

    # What a subclass's signature holds.
    method: Any
    types: Any
    unseen: str
    hidden: tuple[int, ...]
    latents: int | tuple[int, ...]
    missing: str
    homoscedastic: bool
    epochs: int | None
    batch_size: int
    learning_rate: float | None
    num_samples: int
    most_samples: int | None
    random_state: Any

    @property
    def _model(self) -> Model:
        return self._models[0]

    @property
    def model_(self) -> Model:
        """The trained model, for `elbax.score`, `elbax.save` and the rest of elbax.

        Its tables are those of `elbax.table_of(data, schema=estimator.schema_)`.
        """
        check_is_fitted(self)
        config, shape = config_of(self._model)
        config = replace(config, table=self.schema_)
        model = build(shape, config, key=jax.random.key(0))
        return with_arrays(model, arrays_of(self._model), transposed=False)

    def _fit_table(self, raw: Raw, types: dict[str, str]) -> Table:
        """Train on cells; the table under the schema that they give."""
        table = table_of(raw, types=types)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.epochs_ = self._epochs(table) if self.epochs is None else self.epochs
        self._train(table)
        return table

    def _config(self, table: Table, epochs: int) -> TrainConfig:
        batch_size = min(check_count("batch_size", self.batch_size), len(table))
        count = check_count("num_models", self.num_models)
        return TrainConfig(epochs, batch_size, self.learning_rate, bootstrap=count > 1)

    def _model_config(self) -> ModelConfig:
        return ModelConfig(
            tuple(self.hidden),
            latents=self.latents,
            missing=self.missing,
            homoscedastic=self.homoscedastic,
        )

    def _epochs(self, table: Table) -> int:
        seen = under(table, shared(table.schema, self.missing))
        config, model = self._config(table, MOST), self._model_config()
        return chosen_epochs(self.method, seen, model=model, config=config, seed=self._seed)

    def _train(self, table: Table) -> None:
        self.schema_ = table.schema
        self._shared = shared(table.schema, self.missing)
        result = fit(
            self.method,
            under(table, self._shared),
            model=self._model_config(),
            config=self._config(table, self.epochs_),
            seeds=tuple(range(self._seed, self._seed + self.num_models)),
        )
        self._models = tuple(result.models)
        if set(result.status) != {"ok"}:
            warnings.warn(
                "training diverged, and the last finite parameters were kept; choose a smaller "
                "learning_rate.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _read(self, X: Any) -> Table:
        """X as a table under the schema of `fit`."""
        check_is_fitted(self)
        raw = cells_of(self, X, reset=False, missing_values=self.missing_values)
        return table_of(raw, schema=self.schema_, unseen=self.unseen)

    def _scored(self, table: Table, p_draws: int = 0) -> Scores:
        """Scores in the user's units."""
        found = score(
            self._model,
            under(table, self._shared),
            num_samples=self.num_samples,
            most_samples=self.most_samples,
            p_draws=p_draws,
            seed=self._seed,
        )
        log_p_hat = found.log_p_hat + table.mask @ offsets(self.schema_)
        return replace(found, log_p_hat=log_p_hat)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and attributes, each model as the bytes of a safetensors file."""
        state: dict[str, Any] = {**super().__getstate__()}  # pyright: ignore
        if "_models" in state:
            state["_models"] = [_bytes_of(model) for model in self._models]
            for name in ("schema_", "_shared"):
                state[name] = asdict(state[name])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the models again from configurations and arrays, both checked by a hash."""
        state = dict(state)
        if "_models" in state:
            state["_models"] = tuple(_model_from(content) for content in state["_models"])
            for name in ("schema_", "_shared"):
                state[name] = schema_from(state[name])
        super().__setstate__(state)

    def __sklearn_tags__(self):
        """NaN is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class ScoringEstimator(TableEstimator):
    """A density of rows, and what is said of rows under it."""

    def fit(self, X: Any, y: Any = None):
        """Learn the density of the rows of X.

        Args:
            X: `[N, columns]`, NaN where nothing was observed; or a frame, texts in it too.
            y: ignored.

        Raises:
            ValueError: X cannot be used; the sentence says why.
        """
        raw = cells_of(self, X, reset=True)
        self._is_mixed = is_mixed(X)
        self._fitted(self._fit_table(raw, types_of(self.types, raw)))
        return self

    def _fitted(self, table: Table) -> None:
        """What is left to do once the model is trained."""

    def reliability(self, X: Any) -> Scores:
        """Scores of the rows with what is known of their errors.

        Returns:
            `elbax.Scores`: `log_p_hat` in nats and in the units of X, its Monte Carlo `error`,
            `ess`, `khat`, and `reliable`, False where the score lies further below the truth than
            its error says.
        """
        return self._scored(self._read(X))


def _bytes_of(model: Model) -> bytes:
    with TemporaryDirectory() as folder:
        save(model, path := Path(folder) / "model.safetensors")
        return path.read_bytes()


def _model_from(content: bytes) -> Model:
    with TemporaryDirectory() as folder:
        (path := Path(folder) / "model.safetensors").write_bytes(content)
        return load(path)
