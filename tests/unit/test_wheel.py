"""The wheel is whole: built, installed where no checkout is, and the README's five lines run on it.

Quick: the wheel alone in an environment of its own, with this one's dependencies. Slow: with the
dependencies that it declares, in an empty environment, as `pip install elbax` has it; `make wheel`.
"""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def pip(python: str, *words: str) -> None:
    """Run pip; without a registry or build tools within reach, skip and say so."""
    told = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode and re.search(r"No matching distribution|Could not find a", told.stderr):
        pytest.skip(f"pip found no packages to build or install with: {told.stderr[-200:]}")
    assert told.returncode == 0, told.stderr[-3000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".")
    (found,) = folder.glob("elbax-*.whl")
    return found


@pytest.fixture(autouse=True, scope="module")
def in_the_repository():
    before = os.getcwd()
    os.chdir(REPOSITORY)
    yield
    os.chdir(before)


def environment(folder: Path, *, with_pip: bool) -> Path:
    venv.create(folder, with_pip=with_pip)
    return folder / "bin" / "python"


def five_lines() -> str:
    text = (REPOSITORY / "README.md").read_text()
    block = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert block is not None
    place = "import elbax, sys; assert sys.prefix in elbax.__file__, elbax.__file__\n"
    return place + block[1].replace("epochs=2", "epochs=1")


def run(python: Path, folder: Path, code: str) -> str:
    """Away from the checkout, so that only what is installed is found."""
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    told = subprocess.run(
        [python, "-c", code], cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr[-3000:]
    return told.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"elbax"}
    own = REPOSITORY / "src" / "elbax"
    kinds = (".py", ".pyi", ".j2", ".css", ".typed")
    expected = {
        path.relative_to(own.parent).as_posix() for path in own.rglob("*") if path.suffix in kinds
    }
    expected.add("elbax/py.typed")
    assert {"elbax/nn/__init__.pyi", "elbax/report/templates/report.css"} <= expected
    assert expected <= set(names)


def test_the_five_lines_run_on_the_wheel(wheel, tmp_path):
    python = environment(tmp_path / "env", with_pip=False)
    pip(sys.executable, "--python", str(python), "install", "--quiet", "--no-deps", str(wheel))
    # The other packages of this environment, without the .pth that leads to the checkout.
    site = run(python, tmp_path, "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert "Estimate" in run(python, tmp_path, five_lines())


@pytest.mark.slow
def test_the_five_lines_run_in_an_empty_environment(wheel, tmp_path):
    python = environment(tmp_path / "env", with_pip=True)
    constraints = str(REPOSITORY / "constraints.txt")
    pip(str(python), "install", "--quiet", "--constraint", constraints, str(wheel))
    assert "Estimate" in run(python, tmp_path, five_lines())
    run(
        python,
        tmp_path,
        "import subprocess, sys; subprocess.run([sys.prefix + '/bin/elbax', '--help'], check=True)",
    )
