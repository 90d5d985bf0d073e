import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elbax.training.schedules import burda_boundaries, learning_rate_factor


def factors(schedule: str, num_steps: int) -> np.ndarray:
    """The factor at every step of a run."""
    steps = jnp.arange(num_steps)
    return np.asarray(jax.vmap(lambda s: learning_rate_factor(schedule, num_steps, s))(steps))


def published_rates(steps_per_epoch: int) -> np.ndarray:
    """Burda et al., section 5: 3^i epochs at 0.001 * 10^(-i/7), for i = 0 .. 7."""
    rates = []
    for i in range(8):
        rates += [0.001 * 10 ** (-i / 7)] * (3**i * steps_per_epoch)
    return np.array(rates)


@pytest.mark.parametrize("steps_per_epoch", [1, 3, 25])
def test_every_epoch_of_3280_has_the_published_rate(steps_per_epoch):
    expected = published_rates(steps_per_epoch)
    assert len(expected) == 3280 * steps_per_epoch
    got = factors("burda", len(expected))
    np.testing.assert_array_equal(got, (expected / 0.001).astype(np.float32))
    np.testing.assert_allclose(np.float32(0.001) * got, expected, rtol=2e-7)


@pytest.mark.parametrize("num_steps", [1, 2, 8, 30, 999, 3280, 90_000])
def test_a_run_of_any_length_goes_down_to_a_tenth(num_steps):
    got = factors("burda", num_steps)
    assert (np.diff(got) <= 0).all()
    assert got[-1] == np.float32(0.1)
    assert got.max() <= 1


@pytest.mark.parametrize("num_steps", [1, 30, 1000, 77_777])
def test_stages_keep_their_share_of_a_run_within_half_a_step(num_steps):
    ends = np.array([sum(3**j for j in range(i)) for i in range(1, 8)]) / 3280 * num_steps
    assert np.abs(burda_boundaries(num_steps) - ends).max() <= 0.5


def test_a_run_long_enough_passes_through_all_eight_stages():
    assert len(set(factors("burda", 3280).tolist())) == 8
    assert len(set(factors("burda", 30).tolist())) < 8


def test_the_constant_schedule_is_one():
    np.testing.assert_array_equal(factors("constant", 50), np.ones(50))


@pytest.mark.parametrize("num_steps", [1, 2, 7, 1000])
def test_annealing_keeps_the_rate_for_half_of_the_steps_and_ends_near_zero(num_steps):
    got = factors("anneal", num_steps)
    steps = np.arange(num_steps)
    np.testing.assert_allclose(got, np.minimum(1, 2 - 2 * steps / num_steps), atol=1e-6)
    assert 0 < got[-1] <= max(2 / num_steps, got[0] / num_steps)


def test_the_step_may_be_traced():
    traced = jax.jit(lambda step: learning_rate_factor("burda", 3280, step))
    assert float(traced(jnp.asarray(1))) == float(np.float32(10 ** (-1 / 7)))
