"""The page as a browser sees it: no word on the console, no request, readable on a phone."""

import re
import shutil
import subprocess

import pytest
from PIL import Image

from elbax.report.page import write_report
from tests.unit.studies.test_chapter import study_dir  # noqa: F401 (a fixture)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium (Debian's package of that name)"
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


@pytest.fixture(scope="module", params=["wide", "phone"])
def seen(request, study_dir, tmp_path_factory):  # noqa: F811
    """The page in one width: console, requests, screenshot, and the page after layout."""
    folder = tmp_path_factory.mktemp(request.param)
    page = write_report(study_dir, out=folder)
    width = {"wide": 1200, "phone": 390}[request.param]
    shot, log = folder / "page.png", folder / "net.json"
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},2400",
        f"--screenshot={shot}",
        f"--log-net-log={log}",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return width, done.stderr, log.read_text(), shot


def test_nothing_is_said_on_the_console(seen):
    _, console, _, _ = seen
    assert not re.findall(r"CONSOLE.*", console)


def test_nothing_is_requested_but_the_page(seen):
    _, _, log, _ = seen
    wanted = set(re.findall(r'"url":"((?:https?|ftp|wss?)://[^"]*)"', log))
    # Chromium looks for updates of its own whatever the page says.
    assert not {url for url in wanted if not re.search(r"//[^/]*google(apis)?\.com/", url)}
    assert '"constants"' in log  # it is a log


def test_it_fills_its_width_and_is_not_empty(seen):
    width, _, _, shot = seen
    with Image.open(shot) as image:
        assert image.width == width
        colors = image.convert("RGB").getcolors(maxcolors=1 << 24)
    assert len(colors) > 200
