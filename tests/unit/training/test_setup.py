"""What `fit` makes of data before it trains: the mode under a likelihood, and what it warns of."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import elbax
from elbax._errors import ElbaxWarning
from elbax.training.recorded import read_config

from .runs import binary_images, build, grey_dataset, tiny, train

GAUSSIAN = elbax.ModelConfig(hidden=(8,), latents=2, likelihood="gaussian")
REAL = np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32)


def test_a_model_of_ones_own_has_to_observe_the_data():
    own = elbax.linear_gaussian(4, 2, key=jax.random.key(0))
    for given in ({"model": lambda key: own}, {"model": None, "origin": own}):
        with pytest.raises(elbax.InputError, match=r"the data of shape \[B, 4\]; got \[1, 6\]"):
            build(**given)


def usual_grey() -> elbax.Dataset:
    return replace(grey_dataset(), usual=True)


def test_a_gaussian_sees_the_intensities_where_no_mode_was_asked_for():
    with pytest.warns(ElbaxWarning, match="trained on the intensities, not on 0/1 draws"):
        _, fleet, identity = build(data=usual_grey(), model=GAUSSIAN)
    assert not fleet.program.dynamic
    assert identity["data"]["binarise"] == "none"
    # Nothing to say where the data are in that mode already.
    assert not build(data=usual_grey().under("gaussian"), model=GAUSSIAN)[1].program.dynamic


def test_a_bernoulli_sees_draws_as_ever():
    assert build(data=usual_grey())[1].program.dynamic


NOT_MEANT = {
    "draws that were asked for": (grey_dataset(), {}, "only 0 and 1 has no upper limit"),
    "binary data": (binary_images(), {}, "only 0 and 1 has no upper limit"),
    "a constant column": (REAL * [1, 0, 1], {}, "column 1 never changes"),
    "constant columns": (REAL * [0, 0, 1], {}, "columns 0, 1 never change;"),
    "scales as they are": (REAL * [1, 1e4, 1e-3], {"standardize": False}, "standardize is off"),
}


@pytest.mark.parametrize("name", NOT_MEANT)
def test_what_makes_a_gaussian_density_meaningless_is_said(name):
    data, changes, message = NOT_MEANT[name]
    with pytest.warns(ElbaxWarning, match=message):
        build(data=data, model=replace(GAUSSIAN, **changes))


def test_masked_arrays_are_refused():
    with pytest.raises(elbax.DataError, match="expected data without masked values"):
        build(data=np.ma.masked_greater(REAL, 1.0), model=GAUSSIAN)


def test_columns_on_any_scale_train_as_standardized_ones_do():
    """The same numbers in other units: log-densities differ by the log of the units, exactly."""
    units, shift = np.array([1, 2.0**13, 2.0**-10]), np.array([0, 2.0**15, 0])
    records = [
        train(data=data, model=GAUSSIAN).metrics[-1] for data in (REAL, REAL * units + shift)
    ]
    bounds = [record["bound"] for record in records]
    np.testing.assert_allclose(bounds[1], bounds[0] - np.log(units).sum(), atol=0.01)


def test_constants_are_not_trained_come_back_and_stay_in_a_second_stage(tmp_path):
    data = REAL * [1, 1e4, 1e-3] + [0, 3e4, 0]
    trained = train(data=data, model=GAUSSIAN, directory=tmp_path).models[0]
    runs = elbax.load_runs(tmp_path)
    # Other data than those of the first stage: its weights mean nothing in their units.
    _, second, _ = build(data=3 * REAL, model=GAUSSIAN, origin=elbax.origin_of(runs))
    for model in (trained, runs.models[0], second.model(0)):
        for network in (model.inference.encoder.network, model.generative.decoder):
            np.testing.assert_allclose(network.standard.center, data.mean(axis=0), rtol=1e-5)
            np.testing.assert_allclose(network.standard.scale, data.std(axis=0), rtol=1e-5)
    assert read_config(tmp_path)["model"]["standardize"]


def test_runs_from_before_go_on_as_they_were_begun(tmp_path):
    """A version without `standardize` and `usual` began them: 0/1 draws, no units."""
    model = replace(GAUSSIAN, standardize=False)
    with pytest.warns(ElbaxWarning, match="only 0 and 1"):
        train(data=grey_dataset(), model=model, directory=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert "standardize" not in config["model"]
    options = tiny({"data": usual_grey(), "model": GAUSSIAN})
    with pytest.warns(ElbaxWarning, match="only 0 and 1"):
        result = elbax.fit("iwae(k=4)", directory=tmp_path, resume=True, **options)
    assert result.models[0].generative.decoder.standard is None


def test_a_bernoulli_configuration_is_as_it_was_before():
    assert "standardize" not in build()[2]["model"]
