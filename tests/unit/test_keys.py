"""Seeds: each names one stream of random numbers, and no two name the same."""

import jax
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax._keys import key_of
from tests.unit.training.runs import build


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, np.int64(3), np.uint32(2**31)])
def test_a_seed_is_that_of_jax(seed):
    assert key_of(seed) == jax.random.key(int(seed))


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 1.0, "0", True, None])
def test_what_would_be_another_seed_under_this_name_is_refused(seed):
    with pytest.raises(InputError, match="expected a seed from 0 to 4294967295; got"):
        key_of(seed)


def test_training_refuses_it():
    with pytest.raises(elbax.InputError, match="from 0 to 4294967295; got 4294967296"):
        build(seeds=(0, 2**32))
