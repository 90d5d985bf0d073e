"""The public names are those that are promised, and the README's Python runs."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest

import elbax
from tests.conftest import REPOSITORY

PROMISED = {
    "Objective", "bounds", "ciwae", "distributions", "evaluate", "fit", "iwae", "log_weights",
    "miwae", "models", "nn", "piwae", "rules",
    "vae", "value_and_grad",
}  # fmt: skip


def test_every_public_name_is_there():
    assert set(elbax.__all__) >= PROMISED
    assert all(getattr(elbax, name) is not None for name in elbax.__all__)


MODULES = ["bounds", "distributions", "models", "nn", "rules"]


@pytest.mark.parametrize("name", MODULES)
def test_every_name_of_the_public_modules_is_there(name):
    module = getattr(elbax, name)
    assert module.__all__
    assert all(getattr(module, one) is not None for one in module.__all__)


def public():
    """Every public function and class, by its public name."""
    for module in [elbax, *(getattr(elbax, name) for name in MODULES)]:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize(("name", "value"), list(public()))
def test_every_public_name_is_explained_by_an_example(name, value):
    text = vars(value).get("__doc__") or value.__doc__
    assert ">>> " in text, name


def test_what_models_of_ones_own_are_written_with_is_public():
    """tests/models.py holds such models, and imports public names alone."""
    text = (REPOSITORY / "tests" / "models.py").read_text()
    imported = re.findall(r"^from (elbax[\w.]*) import (.*)$", text, flags=re.MULTILINE)
    assert {module for module, _ in imported} == {"elbax.distributions", "elbax.models"}
    for module, names in imported:
        assert set(names.split(", ")) <= set(getattr(elbax, module.partition(".")[2]).__all__)


def test_names_and_modules_do_not_hide_each_other():
    assert callable(elbax.log_weights)
    assert callable(elbax.evaluate)
    assert elbax.bounds.IWAE(2).num_samples == 2
    importlib.import_module("elbax.runs.snr_study")
    for name in ("one_layer", "hierarchical", "linear_gaussian", "gaussian_toy"):
        assert callable(getattr(elbax.models, name))


def test_importing_elbax_does_not_import_jax():
    code = "import elbax, sys; elbax.models, elbax.nn; raise SystemExit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_python_of_the_readme_runs():
    text = (REPOSITORY / "README.md").read_text()
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block.replace("epochs=2", "epochs=1"), names)
    assert names["value"].shape == ()
