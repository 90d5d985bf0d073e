import re

import numpy as np
import pytest

from elbax._errors import DataError
from elbax.data import registry
from elbax.data.dataset import MODES


def test_names_are_those_of_the_entries():
    assert registry.names() == ("digits", "mnist", "mnist-static", "omniglot", "fashion-mnist")
    assert all(registry.get(name).name == name for name in registry.names())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnits", "unknown data set 'mnits'; did you mean 'mnist'?"),
        ("MNIST", "did you mean 'mnist'?"),
        ("xyz", "unknown data set 'xyz'. Known: digits, mnist"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(DataError, match=re.escape(message)):
        registry.get(name)


@pytest.mark.parametrize("name", registry.names())
def test_entry_is_complete(name):
    source = registry.get(name)
    assert source.binarise in MODES
    assert source.description.endswith(".")
    assert source.licence
    assert source.citation
    assert np.prod(source.event_shape) in (64, 784)
    assert bool(source.download) == bool(source.forms)
    for file in source.files:
        assert all(re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", h) for h in file.hashes)
        assert file.contents is None or re.fullmatch("[0-9a-f]{64}", file.contents)
        assert all(url.endswith("/" + file.names[0]) for url in file.urls)
        assert len(file.urls) != 1


@pytest.mark.parametrize("name", registry.names())
def test_roles_are_unique_in_a_form(name):
    for form in registry.get(name).forms:
        assert len({file.role for file in form}) == len(form)
