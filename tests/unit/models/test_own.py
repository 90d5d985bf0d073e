"""A function that builds a model, by itself or by its import path."""

import sys

import jax
import pytest

import elbax
from elbax.models.own import imported, own_builder

SOURCE = """
import elbax

def build(key):
    return elbax.linear_gaussian(4, 2, key=key)

def sized(event_shape, key):
    return elbax.one_layer(event_shape, elbax.ModelConfig(hidden=(), latents=2), key=key)

def key_first(key, *, event_shape):
    return sized(event_shape, key)

def nothing(key):
    return None

class Home:
    build = staticmethod(build)

VALUE = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with modules of the user's own, which no other test sees."""
    (tmp_path / "own_models.py").write_text(SOURCE)
    (tmp_path / "own_broken.py").write_text("raise RuntimeError('no licence')")
    (tmp_path / "own_needs.py").write_text("import a_module_that_is_not_there")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("own_models", "own_broken", "own_needs"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("place", ["sized", "key_first"])
def test_a_function_gets_the_shape_of_a_datum_where_it_has_an_argument_for_it(here, place):
    model = own_builder(f"own_models:{place}", (3, 2))(jax.random.key(0))
    assert model.generative.event_shape == (3, 2)


@pytest.mark.parametrize("place", ["build", "Home.build"])
def test_a_function_of_a_key_needs_no_more(here, place):
    path = list(sys.path)
    model = own_builder(f"own_models:{place}", (4,))(jax.random.key(0))
    assert model.generative.weight.shape == (4, 2)
    assert sys.path == path


WRONG = {
    "own_models": "expected a model of your own as module:function.*; got 'own_models'",
    "own_models:": "got 'own_models:'",
    "own_models:build()": "as module:function",
    "../own_models:build": "as module:function",
    "own_modles:build": "found no module 'own_modles' for 'own_modles:build' in",
    "own_models:bild": "module 'own_models' has no function 'bild'",
    "own_models:VALUE": "has no function 'VALUE'",
    "own_broken:build": r"failed while it was imported \(RuntimeError: no licence\)",
    "own_needs:build": r"failed while .*\(ModuleNotFoundError: .*a_module_that_is_not_there",
}


@pytest.mark.parametrize("path", WRONG)
def test_what_cannot_be_imported_is_refused_with_a_sentence(here, path):
    with pytest.raises(elbax.InputError, match=WRONG[path]):
        imported(path)


def test_what_is_no_model_is_refused(here):
    with pytest.raises(elbax.InputError, match=r"to return an elbax\.Model; got NoneType"):
        own_builder("own_models:nothing", (4,))(jax.random.key(0))
