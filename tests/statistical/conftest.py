"""The failure budget holds only while no more tests share it than it was split for."""

import pytest

from tests.statistical.budget import NUM_TESTS


def pytest_collection_modifyitems(items):
    count = sum(item.get_closest_marker("statistical") is not None for item in items)
    if count > NUM_TESTS:
        raise pytest.UsageError(
            f"expected at most {NUM_TESTS} statistical tests, as their failure budget is split; "
            f"got {count}. Raise NUM_TESTS in tests/statistical/budget.py."
        )
