"""Model and data made to suit each other, and what cannot be right or is hardly meant."""

import dataclasses
from typing import Any

import numpy as np

from elbax._errors import InputError
from elbax.data.checks import check_images, check_levels, columns, to_float32, warn
from elbax.data.dataset import Dataset
from elbax.models.config import ModelConfig
from elbax.tables.table import Table
from elbax.training.config import TrainConfig

_SPOKEN = {  # likelihoods of intensities rather than of 0/1 draws of them
    "gaussian": "a Gaussian",
    "continuous-bernoulli": "a continuous Bernoulli",
    "discretised-logistic": "a discretised logistic",
}


def suited(model: Any, dataset: Dataset) -> Any:
    """A configuration with what the data alone know: columns of a table, levels of images."""
    if not isinstance(model, ModelConfig):
        return model
    if dataset.schema is None:
        known = model.likelihood == "discretised-logistic" and dataset.levels > 1
        return dataclasses.replace(model, levels=_whole_levels(dataset)) if known else model
    if model.table not in (None, dataset.schema):
        raise InputError(
            "expected the data under the schema of the model to start from; they have another. "
            "Give `elbax.table_of(data, schema=...)`, or on the command line the same file."
        )
    if model.likelihood not in (ModelConfig().likelihood, "table"):
        raise refused_likelihood(model.likelihood)
    return model.of_table(dataset.schema)


def refused_likelihood(likelihood: str) -> InputError:
    """Why a table has no likelihood for all of its columns."""
    return InputError(
        f"expected no likelihood for a table, whose columns have one each; got '{likelihood}'. "
        "Leave it out, and say kinds of columns (types) where those decided do not fit."
    )


def _whole_levels(dataset: Dataset) -> int:
    if dataset.levels != int(dataset.levels):
        raise InputError(
            "expected a whole number of levels for a discretised logistic likelihood, such as 255 "
            f"for bytes; got {dataset.levels:g} for {dataset.name}."
        )
    return int(dataset.levels)


def as_dataset(data: Dataset | Table | np.ndarray) -> Dataset:
    """A data set as it is, an array or a table as training and test data in one."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, Table):
        return Dataset(name="table", train=data.values, test=data.values, schema=data.schema)
    check_images(data, likelihood="any", name="data")
    array = to_float32(np.asarray(data), "data")
    return Dataset(name="array", train=array, test=array)


def under(dataset: Dataset, model: Any) -> Dataset:
    """The data as this likelihood takes them, with a word where that changes them."""
    if not isinstance(model, ModelConfig):
        return dataset
    taken = dataset.under(model.likelihood)
    if taken is not dataset:
        warn(
            f"{dataset.name}: {_SPOKEN[model.likelihood]} likelihood is trained on the "
            f"intensities, not on 0/1 draws. Take `data.under('{model.likelihood}')` before "
            "`fit`, and evaluate on its splits."
        )
    return taken


def check_data(dataset: Dataset, config: TrainConfig, model: Any) -> None:
    """Refuse data that this model cannot be trained on, and say what is hardly meant.

    Raises:
        DataError, InputError: they hold what the likelihood does not have, or too few rows.
    """
    likelihood = model.likelihood if isinstance(model, ModelConfig) else "any"
    if dataset.schema is None and likelihood == "table":
        raise InputError(
            "expected a table for this model, such as `elbax.table_of(frame)`; got an array."
        )
    for name, array in dataset.splits().items():
        if dataset.schema is None:  # the cells of a table were looked at when it was made
            check_images(array, likelihood=likelihood, name=name, levels=dataset.levels)
            if isinstance(model, ModelConfig) and likelihood == "discretised-logistic":
                check_levels(array, levels=model.levels, intensity=dataset.levels, name=name)
    if likelihood in _SPOKEN:
        _warn_of_binary(dataset, likelihood)
    if likelihood == "gaussian":
        _warn_of_gaussian(dataset, model)
    if len(dataset.train) < config.batch_size:
        raise InputError(
            f"expected at least batch_size = {config.batch_size} training data; got "
            f"{len(dataset.train)}. Choose a smaller batch_size."
        )


def _warn_of_binary(dataset: Dataset, likelihood: str) -> None:
    if dataset.binarise != "dynamic" and not dataset.is_binary:
        return
    why = "probabilities of levels waste all but two on values that are only 0 and 1"
    if likelihood != "discretised-logistic":
        why = (
            f"{_SPOKEN[likelihood]} density of values that are only 0 and 1 has no upper limit and "
            "compares with nothing"
        )
    warn(f"{dataset.name}: {why}. Take --binarise none, or a Bernoulli likelihood.")


def _warn_of_gaussian(dataset: Dataset, model: Any) -> None:
    """Say what makes a Gaussian density meaningless; only the user can know whether it is meant."""
    if dataset.binarise == "dynamic" or dataset.is_binary:
        return
    sd = dataset.standard_deviation()
    if len(constant := np.flatnonzero(sd == 0)):
        warn(
            f"{dataset.name}: {columns(constant)} never change{'s' if len(constant) == 1 else ''}; "
            "a Gaussian density there grows without limit. Leave out what is constant."
        )
    if not model.standardize and not np.all((sd == 0) | ((sd > 0.1) & (sd < 10))):
        warn(
            f"{dataset.name}: standard deviations from {sd.min():g} to {sd.max():g} and "
            "standardize is off; a Gaussian likelihood learns little on such scales. Leave "
            "standardize on."
        )
