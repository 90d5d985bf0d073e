"""Pareto k-hat beside arviz-stats, which fits one vector of weights at a time."""

import numpy as np
import pytest

from elbax.evaluation.reliability import pareto_khat, tail_size


@pytest.fixture(scope="module")
def psislw():
    base = pytest.importorskip("arviz_stats.base", reason="arviz-stats is not installed")
    return base.array_stats.psislw


# Where 3 sqrt(S) is whole: arviz rounds it down, and the paper up.
@pytest.mark.parametrize("num_samples", [30, 100, 900, 2500])
@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
def test_khat_is_that_of_arviz(psislw, num_samples, spread):
    rng = np.random.default_rng(num_samples)
    log_w = -90 + spread * rng.standard_t(4, (num_samples, 20))
    largest = -np.sort(-log_w, axis=0)[: tail_size(num_samples) + 1]
    theirs = [psislw(-column, r_eff=1.0)[1] for column in log_w.T]
    np.testing.assert_allclose(pareto_khat(largest), theirs, rtol=1e-8, atol=1e-10)
