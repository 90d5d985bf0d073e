"""`Density`: log-likelihoods, latents and samples of a table with holes."""

from typing import Any, no_type_check

import jax
import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from elbax._checks import check_count
from elbax._errors import InputError
from elbax.evaluation.posterior import decode, posterior_means, sample
from elbax.sklearn.base import ScoringEstimator
from elbax.sklearn.reading import stacked
from elbax.tables.units import in_units

_ROWS = 256  # encoded and decoded at a time: one shape, one program


class Density(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, ScoringEstimator):
    r"""A density of rows, some cells of which are missing.

    Args:
        method: the objective, as `elbax train --method` has it.
        types: kinds by column, by name or place ({"age": "count"}), or such a text; numbers are
            real and the rest is categorical otherwise. "auto" decides by the cells.
        unseen: what a category is that was not there in `fit`: "error", or "missing".
        hidden: sizes of the encoder's hidden layers, which the decoder mirrors.
        latents: number of latent variables.
        missing: why cells are missing: "random" (given what was observed), "self-masking",
            "linear" or "nonlinear", as `elbax.ModelConfig` has them.
        homoscedastic: give every real column one learned scale, in place of one that depends on
            the latents.
        epochs: passes over the data; None takes as many as rows that a first training leaves out
            can bear, 200 at most.
        batch_size: rows per minibatch; of fewer rows all.
        learning_rate: Adam's at the start; 0.002 if None.
        num_samples: K of a score, at least 25.
        most_samples: of a row whose score is not reliable yet; 16 times as many if None.
        random_state: a seed or a generator, of training and of scores.

    References: Mattei & Frellsen 2019 (arXiv 1812.02633), section 3.

    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> X[::3, 1] = np.nan
    >>> density = Density(hidden=(4,), latents=1, epochs=1, num_samples=25, random_state=0).fit(X)
    >>> density.score_samples(X).shape, density.transform(X).shape, density.sample(3).shape
    ((40,), (40, 1), (3, 2))
    """

    @no_type_check  # scikit-learn's rule: a constructor takes anything, `fit` refuses
    def __init__(
        self,
        method: Any = "iwae(k=20, gradient=dreg)",
        *,
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
        most_samples: int | None = None,
        random_state: Any = None,
    ):
        self.method = method
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

    def score_samples(self, X: Any) -> np.ndarray:
        """Log p-hat of the observed cells of every row `[N]`, in nats and in the units of X.

        A row's score depends on no other row. Rows with different holes are on different scales.
        """
        return self.reliability(X).log_p_hat

    def score(self, X: Any, y: Any = None) -> float:  # pyright: ignore
        """The mean of `score_samples`, in nats per row; larger is better.

        Args:
            X: rows.
            y: ignored.
        """
        return float(self.score_samples(X).mean())

    def transform(self, X: Any) -> np.ndarray:
        """E_q[z | what was observed] of every row, `[N, latents]`; of several layers all."""
        values = self._read(X).values
        z = _by_blocks(lambda rows: posterior_means(self._model, rows), values)
        leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(z)]
        return np.concatenate([leaf.reshape(len(values), -1) for leaf in leaves], axis=1)

    def inverse_transform(self, X: Any) -> Any:
        """E[x | z] of latents `[N, latents]` in the units of `fit`; of categories the likeliest."""
        check_is_fitted(self)
        z = np.asarray(check_array(X, dtype="float32", input_name="X"))
        if z.shape[1] != self._n_features_out:
            raise InputError(
                f"expected latents of shape [N, {self._n_features_out}], as transform returns "
                f"them; got {list(z.shape)}."
            )
        shapes, structure = self._latents()
        sizes = [int(np.prod(shape.shape)) for shape in shapes]
        parts = np.split(z, np.cumsum(sizes)[:-1], axis=1)
        leaves = [
            part.reshape(len(z), *leaf.shape) for part, leaf in zip(parts, shapes, strict=True)
        ]
        tree = jax.tree.unflatten(structure, leaves)
        return self._in_units(_by_blocks(lambda rows: decode(self._model, rows), tree))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Rows drawn from the density, in the units and kinds of `fit`.

        Args:
            n_samples: how many.
            random_state: a seed or a generator; if None that of the estimator.

        Returns:
            `[n_samples, columns]`, or a dictionary of columns where some hold texts.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        chosen = self.random_state if random_state is None else random_state
        seed = int(check_random_state(chosen).randint(2**31 - 1))
        return self._in_units(sample(self._model, n_samples, key=jax.random.key(seed)))

    def _in_units(self, values: np.ndarray) -> Any:
        """What a model gives, by the columns of `fit`; NaN where a column was left out."""
        found = in_units(values, self.schema_)
        nothing = np.full(len(values), np.nan)
        columns = {name: found.get(name, nothing) for name in self._names}
        return columns if self._is_mixed else stacked(columns)

    def _latents(self):
        """Shapes of the latents of one row, and the tree that they are in."""
        inference, row = self._model.inference, np.zeros(len(self.schema_.columns), np.float32)
        z = jax.eval_shape(lambda x: inference.mean(inference.encode(x)), row)
        return jax.tree.flatten(z)

    def _fitted(self, table) -> None:
        self._names = table.raw.names

    @property
    def _n_features_out(self) -> int:
        return sum(int(np.prod(leaf.shape)) for leaf in self._latents()[0])


def _by_blocks(of, tree: Any) -> Any:
    """`of` of rows, always as many at a time: one program, and no row's bits depend on N."""
    size = len(jax.tree.leaves(tree)[0])
    places = np.arange(-(-size // _ROWS) * _ROWS)
    places = np.where(places < size, places, 0)
    blocks = []
    for start in range(0, len(places), _ROWS):
        chosen = places[start : start + _ROWS]
        blocks.append(of(jax.tree.map(lambda leaf, own=chosen: leaf[own], tree)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:size], *blocks)
