"""The page of a search, from its tune.json alone."""

import json
import re

import pytest

import elbax
from elbax.exhibits import LinesExhibit
from elbax.report import tables
from elbax.search.chapter import answer, best_table, path, read_tuned, slices, tune_chapter


def trial(number, status, value, **point):
    return {
        "number": number, "status": status, "value": value, "error": 0.2, "epochs": 3,
        "point": {"learning_rate": 0.01 * (number + 1), "hidden": "100x50"} | point,
        "fleet": "0000", "runs": [f"run{number}"], "reason": "", "method": "iwae(k=8)",
    }  # fmt: skip


def content(**changes):
    """Five trials, the third of which is the best."""
    values = [("finished", -30.0), ("pruned", -25.0), ("finished", -21.5), ("diverged", None)]
    trials = [trial(number, *one) for number, one in enumerate([*values, ("finished", -22.0)])]
    return {
        "format": 1, "elbax": "0.1", "data": "digits", "num_valid": 144, "best": 2,
        "trials": trials, "command": "elbax train \\\n  --learning-rate 0.03",
        "importances": {"learning_rate": 0.9, "hidden": 0.1}, "seconds": 3.0, "device": "cpu",
        "versions": {"jax": "0.10"},
        "search": {
            "method": "iwae(k=8, beta=0.5)", "k": 64, "seeds": [0], "pruner": "median",
            "search": {"learning_rate": "0.001:0.1:log", "hidden": "100,100x50", "beta": "0:1"},
            "train": {"epochs": 3}, "model": {"hidden": [100]},
        },
    } | changes  # fmt: skip


def written(folder, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "tune.json").write_text(json.dumps(content(**changes)))
    return folder


def test_the_answer_names_the_best_trial_and_how_it_was_judged():
    assert answer(content()) == (
        "Trial 2 is the best of 5 trials: learning_rate 0.03, hidden 100x50 gives IWAE-64 "
        "-21.50 ± 0.20 nats per datum on 144 validation data."
    )
    assert answer(content(best=None)) == "None of 5 trials has finished."


def test_the_table_holds_the_finished_trials_and_is_narrow():
    table = best_table(content())
    assert [row[0] for row in table.rows] == ["2", "4", "0"]
    assert max(map(len, tables.to_text(table).splitlines())) <= 80


def test_the_path_rises_in_steps_over_all_finished_trials():
    best, every = path(content()).lines
    assert (every["x"], every["y"]) == ([0, 2, 4], [-30.0, -21.5, -22.0])
    assert (best["x"], best["y"]) == ([0, 2, 2, 4, 4], [-30.0, -30.0, -21.5, -21.5, -21.5])


def test_numbers_are_plotted_and_words_are_not():
    [slice_] = slices(content())
    assert (slice_.x, slice_.log_x) == ("learning_rate", True)
    assert [line["label"] for line in slice_.lines] == ["finished", "pruned"]


def test_the_page_is_drawn_and_says_how_to_go_on(tmp_path):
    page = elbax.write_report(written(tmp_path / "tune")).read_text()
    assert "tune: a search on digits" in page
    assert "--learning-rate 0.03" in page
    assert "What mattered" in page
    assert "diverged" in page
    drawn = {file.stem for file in (tmp_path / "tune" / "figures").glob("*.png")}
    assert drawn == {"path", "slice-learning_rate", "importances"}
    chapter = tune_chapter(tmp_path / "tune")
    assert dict(chapter.summary)["method"] == "iwae(k=8)"  # beta varies
    assert any(isinstance(one, LinesExhibit) for one in chapter.exhibits)


def test_a_search_in_which_nothing_finished_has_a_page(tmp_path):
    trials = [trial(0, "diverged", None), trial(1, "pruned", -30.0)]
    folder = written(tmp_path / "t", trials=trials, best=None, command=None, importances={})
    page = elbax.write_report(folder).read_text()
    assert "None of 2 trials has finished." in page
    assert "Nothing can be said of what mattered" in page


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 7}, {"best": 9}, {"trials": 3}, {"search": {}}, {"num_valid": "x"},
        {"importances": {"a": "b"}}, {"trials": [{"number": 0}]},
    ],
)  # fmt: skip
def test_a_damaged_tune_json_is_one_sentence(tmp_path, changes):
    with pytest.raises(elbax.InputError) as error:
        elbax.write_report(written(tmp_path / "t", **changes))
    assert re.search(r"run (it|`elbax tune`) again", str(error.value))


def test_a_search_beside_a_study_or_another_has_a_chapter_of_its_own(tmp_path):
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    page = elbax.write_report(first, second, out=tmp_path / "page").read_text()
    assert page.count("a search on digits") >= 2
    assert read_tuned(first)["best"] == 2
