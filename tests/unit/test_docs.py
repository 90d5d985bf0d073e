"""What the pages say holds: their Python runs, commands are known, every public name is there."""

import contextlib
import io
import re

import jax
import pytest

import elbax
from elbax.cli.main import main
from tests.conftest import REPOSITORY
from tests.unit.test_api import MODULES

DOCS = REPOSITORY / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if not {"_build", ".venv"} & set(path.parts)
)
WITH_SUBCOMMANDS = {"data", "snr"}
WITH_PYTHON = [
    *(page for page in PAGES if page.startswith(("guides/own-", "guides/logging"))),
    pytest.param("guides/sklearn.md", marks=pytest.mark.slow),
    pytest.param("guides/tables.md", marks=pytest.mark.slow),
]


def python_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in python_of(f"docs/{page}"):
        exec(block.replace("epochs=2", "epochs=1"), names)
    if page == "guides/own-rule.md":  # what it says is unbiased is, and STL is a planted bias
        assert names["found"]["mixed"].bias_z["inference"] < 2
        assert names["found"]["stl"].bias_z["inference"] > 4
    jax.clear_caches()


def test_the_first_page_has_the_lines_of_the_readme():
    """Which test_api runs."""
    assert set(python_of("docs/start.md")) <= set(python_of("README.md"))


def test_every_public_name_is_on_a_page_of_the_reference():
    text = "".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"(?:auto\w+|py:data):: ([\w.]+)", text))
    missing = {f"elbax.{name}" for name in elbax.__all__} - documented
    # Modules have pages, __version__ is a text.
    assert missing <= {f"elbax.{name}" for name in (*MODULES, "__version__")}
    for module in MODULES:
        for name in getattr(elbax, module).__all__:
            assert {f"elbax.{module}.{name}", f"elbax.{name}"} & documented, (module, name)


def test_external_links_are_on_one_page_once_and_are_of_a_form():
    """Whether they answer cannot be seen without a network."""
    for page in set(PAGES) - {"links.md"}:
        assert "https://" not in (DOCS / page).read_text(), page
    links = re.findall(r"<(http[^>]*)>", (DOCS / "links.md").read_text())
    assert len(links) == len(set(links)) > 20
    for link in links:
        assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(/[\w./?=-]*)?", link), link


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_that_a_page_of_the_root_leads_to_are_there(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", (REPOSITORY / page).read_text())
    for link in links:
        assert link.startswith("https://") or (REPOSITORY / link).exists(), link


def test_every_command_of_the_pages_is_one():
    """Names of commands and of their options, as `elbax` itself knows them."""
    text = "\n".join((DOCS / page).read_text() for page in PAGES)
    text += (REPOSITORY / "README.md").read_text()
    lines = re.findall(
        r"^(?:srun )?elbax (\w+[^#\n]*)", text.replace("\\\n", " "), flags=re.MULTILINE
    )
    used: dict[str, set[str]] = {}
    for line in lines:
        command = line.split()[0]
        used.setdefault(command, set()).update(re.findall(r"(?<=\s)--[a-z][\w-]*", line))
    assert {"train", "evaluate", "compare", "reproduce"} <= set(used)
    for command, options in used.items():
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            main([command, "--help"])
        known = set(re.findall(r"(?<=\s)--[a-z][\w-]*", out.getvalue()))
        assert command in WITH_SUBCOMMANDS or options <= known, (command, options - known)
