"""The public names are those that are promised, and the README's Python runs."""

import re
import subprocess
import sys

import elbax
from tests.conftest import REPOSITORY

PROMISED = {
    "Objective", "bounds", "ciwae", "evaluate", "fit", "iwae", "log_weights", "miwae", "piwae",
    "vae", "value_and_grad",
}  # fmt: skip


def test_every_public_name_is_there():
    assert set(elbax.__all__) >= PROMISED
    assert all(getattr(elbax, name) is not None for name in elbax.__all__)


def test_names_and_modules_do_not_hide_each_other():
    assert callable(elbax.log_weights)
    assert callable(elbax.evaluate)
    assert elbax.bounds.IWAE(2).num_samples == 2


def test_importing_elbax_does_not_import_jax():
    code = "import elbax, sys; raise SystemExit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_python_of_the_readme_runs():
    text = (REPOSITORY / "README.md").read_text()
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block.replace("epochs=2", "epochs=1"), names)
    assert names["value"].shape == ()
