"""Estimators against integrals on a grid, and in the hands of scikit-learn."""

import copy
import io
import pickle
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import elbax
from elbax.sklearn import Density, Imputer, OutlierDetector, base
from elbax.sklearn.reading import types_of

# The same everywhere, and 200 rows of 3 columns: then nearly all fits share one program.
TINY = {"method": "iwae(k=2)", "hidden": (4,), "latents": 1, "epochs": 20, "random_state": 0}
TIMES = {"num_samples": 1000, "most_samples": 1000}


def line(seed=0, rows=200):
    """Three columns about one line, in units far apart, holes in two of them."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 1))
    X = z * [3.0, -20.0, 0.2] + rng.normal(size=(rows, 3)) * [1.0, 5.0, 0.1] + [5, 100, 0.0]
    X[rng.random(rows) < 0.3, 1] = np.nan
    X[rng.random(rows) < 0.2, 2] = np.nan
    return X


@pytest.fixture(scope="module")
def X():
    return line()


@pytest.fixture(scope="module")
def density(X):
    return Density(**TINY, **TIMES).fit(X)


@pytest.fixture(scope="module")
def imputer(X):
    return Imputer(**TINY).fit(X)


def on_a_grid(estimator, X):
    """log p of the observed cells, mean and sd of all given them: float64 sums over z."""
    grid = np.linspace(-8, 8, 4001)
    model, columns = estimator.model_, estimator.schema_.columns
    rows = jax.vmap(model.generative.likelihood)(grid[:, None].astype(np.float32))
    assert {column.kind for column in columns} == {"gaussian"}
    p = np.asarray(rows.parameters["gaussian"], np.float64)
    center, scale = np.array([(c.center, c.scale) for c in columns]).T
    mean, sd = center + scale * p[..., 0], scale * p[..., 1]
    cells = stats.norm.logpdf(X[:, None], mean, sd)
    joint = np.nansum(cells, axis=2) + stats.norm.logpdf(grid)
    log_p = np.log(np.exp(joint).sum(axis=1) * (grid[1] - grid[0]))
    weight = np.exp(joint - joint.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    first = weight @ mean
    return log_p, first, np.sqrt(weight @ (mean**2 + sd**2) - first**2)


def test_scores_are_log_densities_of_the_observed_cells_in_the_users_units(X, density):
    found, (exact, _, _) = density.reliability(X), on_a_grid(density, X)
    assert found.reliable.mean() > 0.8

    def z(log_p):
        return ((log_p - exact) / found.error)[found.reliable]

    limit = 5 / np.sqrt(found.reliable.sum())
    assert abs(z(found.log_p_hat).mean()) < limit
    assert np.abs(z(found.log_p_hat)).max() < 6
    # With the units of the holes too, which a sum over all columns would have.
    wrong = found.log_p_hat - np.isnan(X) @ np.log([c.scale for c in density.schema_.columns])
    assert abs(z(wrong).mean()) > limit
    assert density.score(X) == pytest.approx(found.log_p_hat.mean())


def test_the_model_gives_the_same_scores_by_elbax_itself(X, density):
    table = elbax.table_of(X, schema=density.schema_)
    direct = elbax.score(density.model_, table, seed=density._seed, **TIMES)
    np.testing.assert_allclose(density.score_samples(X), direct.log_p_hat, atol=1e-3)


def test_holes_are_filled_by_the_conditional_mean_with_its_sd(X, imputer):
    filled, sd = imputer.transform(X), imputer.conditional_std(X)
    _, mean, exact_sd = on_a_grid(imputer, X)
    holes = np.isnan(X)
    assert (filled[~holes] == X[~holes]).all()
    assert (sd[~holes] == 0).all()
    # By 1000 draws, to several per cent of the cells' own standard deviations.
    assert np.abs((filled - mean)[holes] / exact_sd[holes]).max() < 0.25
    assert abs(((filled - mean)[holes] / exact_sd[holes]).mean()) < 0.02
    np.testing.assert_allclose(sd[holes], exact_sd[holes], rtol=0.25)
    middle, high = (imputer.conditional_quantile(X, q) for q in (0.5, 0.9))
    assert (high[holes] > middle[holes]).all()
    assert (high[~holes] == X[~holes]).all()


def test_imputations_vary_as_the_cells_do(X, imputer):
    drawn = imputer.sample_imputations(X, 30)
    _, mean, sd = on_a_grid(imputer, X)
    holes = np.isnan(X)
    z = ((drawn - mean) / sd)[:, holes]
    assert drawn.shape == (30, *X.shape)
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 0.1  # filled by means it would be near 0


@pytest.mark.statistical
def test_several_models_fill_in_their_mixture_and_impute_properly(X):
    imputer = Imputer(num_models=2, **TINY).fit(X)
    imputer = pickle.loads(pickle.dumps(imputer))
    alone = []
    for model in imputer._models:
        one = copy.copy(imputer)
        one._models = (model,)
        alone.append(on_a_grid(one, X)[1:])
    means, sds = (np.stack(parts) for parts in zip(*alone, strict=True))
    holes = np.isnan(X)
    assert np.abs(means[0] - means[1])[holes].max() > 1e-3  # of resamples of their own
    spread = np.sqrt((sds**2).mean(axis=0) + means.var(axis=0))
    np.testing.assert_allclose(imputer.conditional_std(X)[holes], spread[holes], rtol=0.2)
    error = np.abs(imputer.transform(X) - means.mean(axis=0))[holes] / spread[holes]
    assert error.max() < 0.2
    drawn = imputer.sample_imputations(X)
    assert drawn.shape == (2, *X.shape)
    with pytest.raises(ValueError, match="m <= num_models = 2"):
        imputer.sample_imputations(X, 3)
    assert clone(imputer).num_models == 2


def test_fits_of_equal_shapes_share_their_programs(X, monkeypatch, density):
    compilations = []

    def counted(*args, **kwargs):
        result = fit(*args, **kwargs)
        compilations.append(result.num_compilations)
        return result

    fit = base.fit
    monkeypatch.setattr(base, "fit", counted)
    clone(density).fit(X)  # conftest may have made the process forget the fixture's program
    clone(density).fit(line(seed=1))
    assert compilations[1] == 0


def test_epochs_are_chosen_where_none_are_given(X):
    found = Density(**TINY | {"epochs": None}, **TIMES).fit(X)
    assert 4 <= found.epochs_ <= 200
    again = Density(**TINY | {"epochs": found.epochs_}, **TIMES).fit(X)
    assert (found.score_samples(X) == again.score_samples(X)).all()


def test_a_pickle_holds_configuration_and_safetensors_alone(X, density):
    asked = set()

    class Watched(pickle.Unpickler):
        def find_class(self, module, name):
            asked.add((module.partition(".")[0], name))
            return super().find_class(module, name)

    again = Watched(io.BytesIO(pickle.dumps(density))).load()
    assert {name for room, name in asked if room == "elbax"} == {"Density"}
    assert {room for room, _ in asked} <= {"elbax", "numpy", "copyreg", "builtins"}
    assert (again.score_samples(X) == density.score_samples(X)).all()
    state = density.__getstate__()
    [content] = state["_models"]
    assert isinstance(content, bytes)
    state["_models"] = [content[:-4] + b"\0\0\0\1"]
    with pytest.raises(elbax.CheckpointError, match="do not match its sha256"):
        Density.__new__(Density).__setstate__(state)


def test_pipelines_and_searches_take_them(X):
    pipeline = make_pipeline(StandardScaler(), Density(**TINY, **TIMES))
    search = GridSearchCV(pipeline, {"density__random_state": [0, 1]}, cv=2)
    search.fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    steps = make_pipeline(Imputer(**TINY), StandardScaler())
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=np.arange(len(X)) + 7)
    shown = steps.set_output(transform="pandas").fit_transform(frame)
    assert shown.columns.tolist() == ["a", "b", "c"]
    assert (shown.index == frame.index).all()
    assert not shown.isna().any(axis=None)


def test_latents_go_there_and_back(X, density):
    z = density.transform(X)
    back = density.inverse_transform(z)
    assert z.shape == (200, 1)
    seen = ~np.isnan(X[:, 0])
    assert np.corrcoef(back[seen, 0], X[seen, 0])[0, 1] > 0.8
    assert density.get_feature_names_out().tolist() == ["density0"]
    with pytest.raises(elbax.InputError, match="expected latents of shape"):
        density.inverse_transform(np.zeros((3, 2)))


def test_samples_have_the_units_of_the_data(X, density):
    drawn = density.sample(4000, random_state=1)
    rows = jax.vmap(density.model_.generative.likelihood)
    p = np.asarray(rows(np.linspace(-8, 8, 4001, dtype=np.float32)[:, None]).parameters["gaussian"])
    weight = stats.norm.pdf(np.linspace(-8, 8, 4001))
    center, scale = np.array([(c.center, c.scale) for c in density.schema_.columns]).T
    mean = center + scale * (weight @ p[..., 0] / weight.sum())
    z = (drawn.mean(axis=0) - mean) / (drawn.std(axis=0) / np.sqrt(len(drawn)))
    assert np.abs(z).max() < 4
    assert (drawn == density.sample(4000, random_state=1)).all()


def test_arguments_of_iterative_imputer_mean_what_they_mean_there(X):
    wide = np.column_stack([X, np.full(200, np.nan), np.full(200, 3.0)])
    wide[:5, 4] = np.nan
    coded = np.where(np.isnan(wide), -1.0, wide)
    settings = TINY | {"missing_values": -1.0}
    limits = [-np.inf, 99.0, -np.inf, -np.inf, -np.inf]
    imputer = Imputer(**settings, add_indicator=True, min_value=limits, max_value=1000).fit(coded)
    filled = imputer.transform(coded)
    assert filled.shape == (200, 4 + 4)  # the empty column is left out; four had holes
    assert (filled[np.isnan(X[:, 1]), 1] >= 99).all()
    assert (filled[:, 3] == 3.0).all()
    assert (filled[:, 4:].astype(bool) == np.isnan(wide[:, 1:])).all()
    assert imputer.get_feature_names_out().tolist()[3:5] == ["x4", "missingindicator_x1"]
    kept = clone(imputer).set_params(keep_empty_features=True, add_indicator=False)
    filled = kept.fit_transform(coded)
    assert filled.shape == (200, 5)
    assert (filled[:, 3] == 0).all()
    with pytest.raises(elbax.InputError, match="expected min_value as a number, or one for each"):
        clone(imputer).set_params(min_value=[1.0, 2.0]).fit(coded)


@pytest.mark.slow
@pytest.mark.parametrize("library", [pd, pl])
def test_frames_with_texts_come_back_as_such_frames(X, library):
    texts = np.where(X[:, 0] > 5, "high", "low").tolist()
    visits = [None, None, *np.rint(np.exp(X[2:, 0] / 6)).tolist()]
    frame = library.DataFrame({"dose": X[:, 1], "level": [None, *texts[1:]], "visits": visits})
    imputer = Imputer(**TINY, types={"visits": "poisson"}).fit(frame)
    filled = imputer.transform(frame)
    assert isinstance(filled, library.DataFrame)
    assert list(filled.columns) == ["dose", "level", "visits"]
    assert filled["level"].to_list()[1:] == texts[1:]
    assert filled["level"].to_list()[0] in ("high", "low")
    assert np.isfinite(filled["dose"].to_numpy()).all()
    assert all(cell % 1 == 0 for cell in filled["visits"].to_list())
    kinds = [column.kind for column in imputer.schema_.columns]
    assert kinds == ["gaussian", "binary", "poisson"]
    unseen = library.DataFrame({"dose": [1.0], "level": ["medium"], "visits": [1.0]})
    with pytest.raises(elbax.DataError, match="expected one of the known categories"):
        imputer.transform(unseen)
    draws = imputer.sample_imputations(frame, 2)
    assert draws[1]["level"].to_list()[1:] == texts[1:]


def test_outliers_are_below_the_threshold_and_trimmed_training_leaves_them_out(X):
    rng = np.random.default_rng(3)
    outliers = rng.normal([17.0, 150.0, -0.8], [1.5, 10.0, 0.1], size=(40, 3))
    both, is_outlier = np.concatenate([X, outliers]), np.arange(240) >= 200
    detector = OutlierDetector(**TINY, **TIMES, contamination=1 / 6, trim=1 / 6).fit(both)
    assert detector.trimmed_.sum() == 40
    assert is_outlier[detector.trimmed_].mean() > 0.9
    assert is_outlier[detector.predict(both) == -1].mean() > 0.9
    decision = detector.score_samples(both) - detector.offset_
    assert (detector.decision_function(both) == decision).all()
    plain = clone(detector).set_params(trim=0.0).fit(both)
    apart = [
        one.score_samples(X).mean() - one.score_samples(outliers).mean()
        for one in (plain, detector)
    ]
    assert not plain.trimmed_.any()
    assert apart[1] > apart[0]  # what it was not trained on is further away


def test_a_density_of_repeated_values_does_not_outweigh_what_is_unusual():
    """Half of all cells are exactly 0 in one column; outliers are far away in the other."""
    rng = np.random.default_rng(0)
    column = np.where(rng.random(200) < 0.5, 0.0, np.abs(rng.normal(size=200)))
    X = np.column_stack([column, rng.normal(size=200)])
    settings = TINY | {"epochs": 200, "num_samples": 100, "most_samples": 100}
    sharp, smooth = (
        OutlierDetector(**settings, homoscedastic=alone).fit(X).score_samples(X)
        for alone in (False, True)
    )
    at_zero = column == 0
    gaps = [one[at_zero].mean() - one[~at_zero].mean() for one in (sharp, smooth)]
    assert gaps[0] > gaps[1] + 0.4  # nats


def test_p_values_compare_rows_with_different_holes(X):
    detector = OutlierDetector(**TINY, **TIMES, p_draws=19, contamination=0.05).fit(X)
    found = detector.score_samples(X)
    assert set(np.round(found * 20, 6)) <= set(range(1, 21))
    whole = ~np.isnan(X).any(axis=1)
    log_p = detector.reliability(X).log_p_hat
    # Log densities of fewer cells are on another scale; p-values are not.
    assert abs(log_p[whole].mean() - log_p[~whole].mean()) > 1
    assert abs(found[whole].mean() - found[~whole].mean()) < 0.15


def test_kinds_are_as_asked_and_real_otherwise():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.poisson(3.0, 60), rng.normal(size=60)]).astype(float)
    raw = elbax.table_of(X).raw
    asked = (None, {0: "poisson"}, {"x0": "poisson"}, "x0=poisson", "auto")
    kinds = [elbax.table_of(X, types=types_of(one, raw)).schema.columns[0].kind for one in asked]
    assert kinds == ["gaussian", "poisson", "poisson", "poisson", "categorical"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: OutlierDetector(contamination=0.7), r"expected contamination in \(0, 0.5\]"),
        (lambda: OutlierDetector(trim=0.7), r"expected trim in \[0, 0.5\]"),
        (lambda: Density(types={7: "count"}), "expected types for columns 0 to 2; got 7"),
        (lambda: Density(types=3), "expected types by column, a text, or 'auto'; got 3"),
        (lambda: Density(method="iwea"), "unknown"),
        (lambda: Density(batch_size=0), "expected batch_size >= 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(X, make, sentence):
    with pytest.raises(elbax.InputError, match=sentence):
        make().fit(X)


def test_a_fit_that_diverges_says_so(X):
    with pytest.warns(ConvergenceWarning, match="choose a smaller learning_rate"):
        Density(**TINY, learning_rate=1e30).fit(X)


def test_importing_elbax_imports_no_scikit_learn():
    code = "import elbax, sys; elbax.fit; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
