"""scikit-learn's own checks of estimators over all three; by default the cheap ones."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from elbax.sklearn import Density, Imputer, OutlierDetector

TINY = {"method": "iwae(k=2)", "hidden": (4,), "latents": 1, "epochs": 1, "num_samples": 25}
ESTIMATORS = [
    Density(most_samples=25, **TINY),
    Imputer(**TINY),
    OutlierDetector(most_samples=25, **TINY),
]
# Cheap, for what they say: most need no fit, the others share a program.
FEW = (
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimators_nan_inf",
    "check_fit2d_1sample",
    "check_methods_subset_invariance",
    "check_outlier_contamination",
    "check_set_output_transform_pandas",
)


def checks():
    """As `parametrize_with_checks` has them, none expected to fail; slow but for a few."""
    for estimator in ESTIMATORS:
        for own, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            marks = () if name in FEW else pytest.mark.slow
            yield pytest.param(own, check, id=f"{type(own).__name__}-{name}", marks=marks)


@pytest.mark.filterwarnings("ignore::elbax.ElbaxWarning")
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_the_estimators_keep_the_contract(estimator, check):
    check(estimator)
