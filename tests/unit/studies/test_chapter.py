"""The chapter of a study, from planted runs: what it holds, and what it refuses."""

import json

import pytest

from elbax._errors import InputError
from elbax.report import tables
from elbax.report.page import write_report
from elbax.studies.chapter import verdict_lines
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.perform import perform
from elbax.studies.store import Store
from tests.unit.studies.planted import bounds_of, planted


def quiet(what, done):
    pass


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory):
    """table1 as `elbax reproduce` leaves it, and one run of it diverged."""
    root = tmp_path_factory.mktemp("study")
    study = STUDIES["table1"]
    preset = study.presets["quick"]
    runs = [
        planted(
            plan,
            bounds_of(-24.0 - 0.1 * place, -0.5),
            status="diverged" if place == 0 else "ok",
        )
        for place, plan in enumerate(study.runs(preset))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "train", lambda *_: None)
        patch.setattr(Store, "evaluate", lambda *_: runs)
        perform(study, preset, Store(root), root / "table1", quiet)
    return root / "table1"


def test_the_chapter_holds_claims_tables_runs_and_settings(study_dir):
    page = write_report(study_dir).read_text()
    for text in (
        "Every claim, tested",
        "the VAE&#39;s gap_64 is the smallest",
        "digits, small model",
        "Gap decomposition",
        "24, 1 diverged",
        "train.learning_rate",
        "Of 9 claims ",
        "Rainforth et al. 2018, Table 1",
    ):
        assert text.replace("&#39;", "'") in page.replace("&#x27;", "'").replace("&#39;", "'"), text
    numbers = json.loads((study_dir / "figures" / "gaps.json").read_text())
    assert numbers["points"] == ["IWAE-1", "IWAE-64", "log p-hat"]
    assert write_report(study_dir).read_text() == page


def test_verdicts_fit_a_terminal(study_dir):
    content = json.loads((study_dir / "study.json").read_text())
    text = tables.in_pairs(verdict_lines(content["verdicts"]))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("not testable") >= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:40], "cannot read the study"),
        (lambda text: '{"format": 7}', "as `elbax reproduce` writes it"),
        (lambda text: text.replace('"verdicts"', '"verdict"'), "missing required field `verdicts`"),
        (lambda text: text.replace('"caption"', '"legend"'), "missing required field `caption`"),
        (lambda text: text.replace('"name": "gaps"', '"name": "../gaps"'), "letters, digits and"),
    ],
)
def test_a_damaged_study_is_refused(change, message, study_dir, tmp_path):
    (tmp_path / "study.json").write_text(change((study_dir / "study.json").read_text()))
    with pytest.raises(InputError, match=message):
        write_report(tmp_path)
