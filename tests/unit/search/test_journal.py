"""The journal of a search: what is asked and told, and what a dead process leaves."""

import pytest

import elbax
from elbax.search.journal import Journal
from elbax.search.space import parse_space

SPACE = parse_space(["learning_rate=1e-4:1e-1:log", "beta=0:1", "gradient=reparam,dreg"])


def journal(folder) -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal(folder, SPACE, 0)


def worth(point) -> float:
    """Best at beta = 0.3."""
    return -((point["beta"] - 0.3) ** 2)


def test_the_sampler_learns_where_the_best_is(tmp_path):
    one = journal(tmp_path)
    for _ in range(6):
        for number, point in one.ask(6).items():
            one.tell(number, "finished", {1: worth(point)})
    trials = one.trials()
    late = [abs(trial.params["beta"] - 0.3) for trial in trials[24:]]
    early = [abs(trial.params["beta"] - 0.3) for trial in trials[:6]]
    assert min(late) < 0.05
    assert sum(late) / len(late) < sum(early) / len(early)
    assert max(one.importances(), key=one.importances().get) == "beta"


def test_what_is_asked_depends_on_what_was_told_alone(tmp_path):
    """So that a search that was cut short, or is shared, asks what it would have asked."""
    first, second = journal(tmp_path / "a"), journal(tmp_path / "b")
    for _ in range(3):
        asked = first.ask(4)
        assert asked == second.ask(4)
        for number, point in asked.items():
            first.tell(number, "finished", {1: worth(point)})
            second.tell(number, "finished", {1: worth(point)})
        second = journal(tmp_path / "b")  # as after a kill
    assert len({tuple(trial.params.values()) for trial in first.trials()}) == 12


def test_a_trial_is_told_once(tmp_path):
    one = journal(tmp_path)
    [number] = one.ask(1)
    one.tell(number, "pruned", {1: -3.0, 2: float("nan")})
    one.tell(number, "finished", {1: 5.0})
    [trial] = one.trials()
    assert (trial.state.name, trial.intermediate_values) == ("PRUNED", {1: -3.0})


def test_a_lost_trial_does_not_count(tmp_path):
    one = journal(tmp_path)
    [number] = one.ask(1)
    assert one.running() == [number]
    one.lose(number)
    assert (one.trials(), one.running()) == ([], [])


def test_a_line_without_an_end_is_cut_and_the_rest_is_read(tmp_path):
    one = journal(tmp_path)
    one.ask(2)
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    again = journal(tmp_path)
    assert again.running() == [0, 1]
    again.ask(1)
    assert journal(tmp_path).running() == [0, 1, 2]


@pytest.mark.parametrize(
    "content", [b"no json\n", b'{"op_code": 99}\n', b"[1]\n{}\n", b'{"op_code":0}\n', b"\0" * 9]
)
def test_a_damaged_journal_is_refused(tmp_path, content):
    (tmp_path / "journal.jsonl").write_bytes(content)
    if content.endswith(b"\n"):
        with pytest.raises(elbax.CheckpointError, match="cannot read the search"):
            journal(tmp_path)
    else:
        assert journal(tmp_path).trials() == []  # nothing but a line without an end


def test_an_importance_needs_values_that_differ(tmp_path):
    one = journal(tmp_path)
    assert one.importances() == {}
    for number in one.ask(3):
        one.tell(number, "finished", {1: 1.0})
    assert one.importances() == {}
