import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from elbax._errors import InputError, OutputError
from elbax.exhibits import LinesExhibit
from elbax.report.page import numbers_of, write_report
from tests.unit.conftest import make_per_datum

NAMES = ["bounds-by-k", "gap-64", "gaps", "learning-curves", "prior-samples", "reconstructions"]
SHOWN = {"gap-64": "rows", "gaps": "rows", "prior-samples": "panels", "reconstructions": "panels"}
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Outline(HTMLParser):
    """Collects tags and attributes, and checks that elements close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def html(run_dir):
    return write_report(run_dir).read_text(encoding="utf-8")


def test_writes_the_page_the_figures_and_their_numbers(run_dir):
    assert write_report(str(run_dir)) == run_dir / "report.html"
    found = sorted(path.name for path in (run_dir / "figures").iterdir())
    assert found == sorted(f"{name}.{kind}" for name in NAMES for kind in ("json", "png"))
    for name in NAMES:
        numbers = json.loads((run_dir / "figures" / f"{name}.json").read_text())
        shown = numbers[SHOWN.get(name, "lines")]
        labels = [one.get("label", one.get("title")) for one in shown]
        assert [label for label in labels if label != "originals"][:2] == ["VAE(64)", "IWAE(64)"]
    assert not list(run_dir.glob("**/.*"))  # no temporary file left behind


def test_the_page_needs_no_network_and_runs_no_script_but_its_own(html):
    assert "http://" not in html
    assert "https://" not in html
    outline = Outline(html)
    assert outline.all("script") == [{}]
    script = html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    for tag, attrs in outline.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "xlink:href"):
            assert attrs.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "default-src 'none'" in html


def test_the_page_is_well_formed(html):
    outline = Outline(html)
    assert outline.open == []
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', html))
    assert used <= set(ids)
    assert len(outline.all("h1")) == 1


def test_contents_lead_to_every_section(html):
    outline = Outline(html)
    sections = [attrs["id"] for attrs in outline.all("section")]
    targets = [a["href"][1:] for a in outline.all("a") if a["href"].startswith("#")]
    assert targets == sections
    assert len(sections) == 7
    assert len(outline.all("details")) == 4


def test_figures_and_numbers_travel_with_the_page(html, run_dir):
    links = {a["download"]: a["href"] for a in Outline(html).all("a") if "download" in a}
    assert set(links) == {f"{name}.{kind}" for name in NAMES for kind in ("svg", "json")}
    for name, link in links.items():
        content = base64.b64decode(link.partition(";base64,")[2]).decode()
        assert content.startswith("<?xml" if name.endswith("svg") else "{")
    numbers = base64.b64decode(links["gaps.json"].partition(";base64,")[2])
    assert json.loads(numbers) == json.loads((run_dir / "figures" / "gaps.json").read_text())


def test_points_of_a_line_say_their_values(html):
    assert re.search(r"<title>VAE\(64\): -24\.\d+ at 5000</title>", html)


def test_numbers_are_json_whatever_a_method_is_called():
    line = {"label": "NaN, Infinity", "x": [1, 2], "y": [float("nan"), float("inf")]}
    found = json.loads(numbers_of(LinesExhibit("l", "t", "c", "epoch", "nats", [line])))
    assert found["lines"] == [{"label": "NaN, Infinity", "x": [1, 2], "y": [None, None]}]


def test_the_answer_comes_first(run_dir, results):
    np.savez(run_dir / "per_datum.npz", **make_per_datum(results))
    html = write_report(run_dir).read_text()
    assert '<p class="answer">PIWAE(8, 8) has the highest log p-hat' in html
    assert html.index('class="answer"') < html.index("<nav")


def test_several_folders_have_their_curves_on_the_same_axes(tmp_path, results, write_run):
    folders = [write_run(tmp_path / name / "run", results) for name in ("a", "b")]
    html = write_report(*folders, out=tmp_path / "page").read_text()
    outline = Outline(html)
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    titles = [
        text for text in outline.text if text in ("Together", "a/run: digits", "b/run: digits")
    ]
    assert len(titles) >= 6  # in the contents and over the chapters
    numbers = json.loads((tmp_path / "page" / "figures" / "together-overlay.json").read_text())
    assert [line["label"] for line in numbers["lines"]][::5] == ["a/run: VAE(64)", "b/run: VAE(64)"]


def test_folders_of_one_evaluation_are_compared_as_one(tmp_path, results, write_run):
    better = copy.deepcopy(results)
    for run in better["runs"]:
        run["metrics"]["log_p_hat"] += 1
    found = {"a": results, "b": better}
    folders = [write_run(tmp_path / name, one) for name, one in found.items()]
    html = write_report(*folders, out=tmp_path / "page").read_text()
    assert "evaluate them alike" in html  # without the values of every datum
    for folder, one in zip(folders, found.values(), strict=True):
        np.savez(folder / "per_datum.npz", **make_per_datum(one))
    html = write_report(*folders, out=tmp_path / "page").read_text()
    assert html.index("b: PIWAE(8, 8) has the") < html.index('id="a"')
    assert 'id="together-comparison"' in html
    other = json.loads((folders[1] / "config.json").read_text()) | {"data": {"fingerprint": "1"}}
    (folders[1] / "config.json").write_text(json.dumps(other))
    html = write_report(*folders, out=tmp_path / "page").read_text()
    assert "of different data, whose nats are not comparable" in html
    assert "together-overlay" not in html


def test_a_table_has_no_section_of_images(run_dir, results):
    (run_dir / "images.npz").unlink()
    results["dataset"]["event_shape"] = [5]
    (run_dir / "results.json").write_text(json.dumps(results))
    assert 'id="images"' not in write_report(run_dir).read_text()


def test_exhibits_of_one_name_are_told_apart(tmp_path, results, write_run):
    folder = write_run(tmp_path / "run", results)
    lines = [{"label": "A", "along": "K", "groups": {
        network: {"snr": [1.0, 2.0], "low": [0.9, 1.9], "high": [1.1, 2.1], "floor": [0.1, 0.1],
                  "dsnr": [None, None], "dsnr_low": [None, None], "dsnr_high": [None, None],
                  "slope": 0.5, "error": 0.1, "predicted": 0.5, "verdict": "pass"}
        for network in ("generative", "inference")}}]  # fmt: skip
    content = {"format": 1, "sizes": [4, 8], "num_draws": [9, 9], "tolerance": 0.1, "lines": lines}
    (folder / "snr.json").write_text(json.dumps(content))
    html = write_report(folder).read_text()
    assert "SNR of the generative network" in html
    assert "DSNR" not in Outline(html).text
    assert "SNR of the inference network" in html


def test_figures_have_words_for_those_who_cannot_see_them(html):
    drawings = Outline(html).all("svg")
    assert len(drawings) == 6
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 40 for svg in drawings)
    assert "At the end: VAE(64) -24.3" in drawings[1]["aria-label"]
    assert all("alt" in img for img in Outline(html).all("img"))


def test_drawings_follow_the_page_s_color_and_keep_their_names_apart(html):
    assert html.count("currentColor") > 20
    assert "#24292f" not in re.sub('href="data:[^"]*"', "", html)
    assert 'id="figure_1"' not in html


def test_sections_hold_what_they_promise(html):
    text = " ".join(Outline(html).text)
    for words in (
        "Held-out comparison on digits", "model.hidden", "200, 200", "3 min 4 s", "12.3 s",
        "elbax, that wrote the results", "0.1.0", "The effective sample size", "piwae-seed2",
    ):  # fmt: skip
        assert words in text


def test_versions_recorded_at_training_are_shown(run_dir, results):
    results["training"]["versions"] = {"jax": "0.99.7"}
    (run_dir / "results.json").write_text(json.dumps(results))
    assert "jax, at training" in write_report(run_dir).read_text()


def test_names_from_outside_are_escaped(run_dir, results):
    evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
    results["dataset"]["name"] = evil
    results["elbax"] = evil
    for run in results["runs"][:3]:
        run.update(label=evil, name=f"{evil}{run['seed']}")
    (run_dir / "results.json").write_text(json.dumps(results))
    (run_dir / "config.json").write_text(json.dumps({evil: evil, "versions": {evil: evil}}))
    outline = Outline(write_report(run_dir).read_text())
    assert outline.all("script") == [{}]
    assert outline.all("img") == []
    assert "".join(outline.text).count("alert(2)") > 5


def test_the_same_results_give_the_same_files(run_dir):
    def files():
        write_report(run_dir)
        paths = [run_dir / "report.html", *sorted((run_dir / "figures").iterdir())]
        return {path.name: path.read_bytes() for path in paths}

    assert files() == files()


def test_without_images_or_epochs_the_page_says_so(run_dir):
    write_report(run_dir)
    (run_dir / "images.npz").unlink()
    (run_dir / "metrics.jsonl").write_text("")
    html = write_report(run_dir).read_text()
    assert html.count("The run folder holds no images.npz") == 1
    found = sorted(path.name for path in (run_dir / "figures").iterdir())
    # No older figure is left.
    names = ("bounds-by-k", "gap-64", "gaps")
    assert found == [f"{name}.{kind}" for name in names for kind in ("json", "png")]


def test_all_diverged_still_has_a_page(run_dir, results):
    for run in results["runs"]:
        run.update(status="diverged", metrics=dict.fromkeys(run["metrics"]), standard_errors={})
    (run_dir / "results.json").write_text(json.dumps(results))
    html = write_report(run_dir).read_text()
    assert "No run finished with a log p-hat." in html
    assert "15, 15 diverged" in html


def test_a_run_without_results_says_what_to_do(run_dir):
    (run_dir / "results.json").unlink()
    with pytest.raises(InputError, match=r"run `elbax evaluate .*` first"):
        write_report(run_dir)
    assert not (run_dir / "report.html").exists()


def test_a_folder_that_cannot_be_written_fails_clearly(run_dir):
    (run_dir / "figures").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot write"):
        write_report(run_dir)
    assert not (run_dir / "report.html").exists()
