"""Benchmarks and tools are run by hand; what they take from elbax has to be there all the same."""

import ast
from importlib import import_module
from importlib.util import find_spec

import pytest

from tests.conftest import REPOSITORY

SCRIPTS = sorted([*REPOSITORY.glob("benchmarks/**/*.py"), *REPOSITORY.glob("tools/**/*.py")])


def has(room: str, name: str) -> bool:
    """Whether a module has a name, or a package a module of that name."""
    module = import_module(room)
    if hasattr(module, name):
        return True
    return hasattr(module, "__path__") and find_spec(f"{room}.{name}") is not None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_a_script_takes_from_elbax_is_there(script):
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "elbax":
            for one in node.names:
                assert has(node.module, one.name), f"{node.module} has no {one.name}"


def test_there_are_scripts():
    assert len(SCRIPTS) > 15
