"""Numbers of an objective: which are real scalars, which are counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elbax._errors import InputError
from elbax.bounds.abstract import whole_number
from elbax.courses import Learned, Ramp, check_range, real_scalar


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), jnp.asarray(0.5)])
def test_every_real_scalar_is_a_number(value):
    assert real_scalar("beta", value) == 0.5
    check_range("beta", value)


@pytest.mark.parametrize("value", ["0.5", None, True, 1j, np.ones(2), [0.5]])
def test_what_is_no_real_scalar_is_refused(value):
    with pytest.raises(InputError, match="expected beta as one real number; got"):
        check_range("beta", value)


@pytest.mark.parametrize("value", [1.5, np.float32(-1), jnp.asarray(2.0), np.nan, Ramp(0, 2.0, 3)])
def test_what_is_out_of_range_is_refused(value):
    with pytest.raises(InputError, match=r"expected beta in \[0, 1\]; got"):
        check_range("beta", value)


def test_traced_and_learned_numbers_pass():
    check_range("beta", Learned(0.5))
    assert jax.jit(lambda beta: [check_range("beta", beta), beta][1])(7.0) == 7


@pytest.mark.parametrize("count", [0, -1, 2.0, 1.5, "2", True, None])
def test_a_count_is_a_whole_number_of_at_least_one(count):
    with pytest.raises(InputError, match="whole number of samples"):
        whole_number("k", count, "IWAE")
    whole_number("k", np.int64(3), "IWAE")
