"""The chart of what a network scores on copies, on known patients, on new ones and on another set."""

import re

import matplotlib.pyplot as plt
import pytest

from brainmri.comparison.patients_chart import COPIES, ELSEWHERE, KNOWN, NEW, draw, draw_dots, figures_of, rows_of

ENDS = {"accuracy": {"low": 0.5, "high": 0.75}}


def run(name, accuracy=0.625, seen=3, duplicates="drop", known=9, source="local"):
    return {
        "name": name,
        "command": "dvc repro",
        "commit": "0123",
        "test_patients": {"known": known, "seen_in_training": seen, "images_without": 2},
        "params": {"fetch": {"source": source}, "preprocess": {"duplicates": duplicates}},
        "metrics": {
            "classify": {"whole": {"images": 1200, "accuracy": accuracy}, "ci95": {"whole": ENDS}},
            "segment": {},
        },
    }


def elsewhere(name, accuracy=0.625):
    result = {"scores": {"images": 8, "accuracy": accuracy}, "ci95": ENDS, "counts": {}}
    return {"name": name, "command": "brainmri external", "commit": "0123", "result": result}


def words(path):
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())


def test_a_run_tells_by_itself_what_its_test_images_are_to_the_network():
    runs = [
        run("new", seen=0),
        run("known, worse", accuracy=0.5),
        run("known, better", accuracy=0.75),
        run("copies", duplicates="report"),
    ]
    found = rows_of(runs, [elsewhere("other")])
    assert [(row.group, row.name) for row in found] == [
        (COPIES, "copies"),
        (KNOWN, "known, better"),
        (KNOWN, "known, worse"),
        (NEW, "new"),
        (ELSEWHERE, "other"),
    ]


@pytest.mark.parametrize("unfit", [{"source": "phantom", "seen": 0}, {"known": 0, "seen": 0}])
def test_no_run_passes_for_new_patients_whose_patients_are_simulated_or_not_known(unfit):
    assert rows_of([run("a", **unfit)], []) == []


def test_a_set_from_elsewhere_that_a_run_was_scored_on_has_a_row_by_itself():
    simulated = run("made up", source="phantom", seen=0)
    found = elsewhere("unused")["result"]
    simulated["metrics"]["classify"]["external"] = {"real": found, "empty": {"counts": {}}}
    assert [(row.group, row.name, row.accuracy) for row in rows_of([simulated], [])] == [
        (ELSEWHERE, "made up, scored on real", found["scores"]["accuracy"])
    ]


def test_two_rows_are_drawn_and_nothing_else(tmp_path):
    draw(tmp_path / "chart.svg", rows_of([run("folds", accuracy=0.6, seen=0)], [elsewhere("b")]))
    shown = words(tmp_path / "chart.svg")
    assert {"folds", "b", NEW, ELSEWHERE} <= set(shown)
    assert {COPIES, KNOWN}.isdisjoint(shown)
    assert [word for word in shown if " of " in word and word[0] == "0"] == [
        "0.600 (0.500 to 0.750) of 1,200",
        "0.625 (0.500 to 0.750) of 8",
    ]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = rows_of([run("a"), run("b", seen=0)], [])
    for name in ("1.svg", "2.svg"):
        draw(tmp_path / name, rows)
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


def test_dots_and_ends_stand_at_their_accuracy_from_top_to_bottom():
    figure, axis = plt.subplots()
    draw_dots(axis, rows_of([run("a", 0.6), run("b", 0.7)], []))
    plt.close(figure)
    assert [(*dot[0].get_xdata(), *dot[0].get_ydata()) for dot in axis.containers] == [(0.7, 0), (0.6, 1)]
    for dot in axis.containers:
        assert [end.get_xdata()[0] for end in dot[1]] == pytest.approx([0.5, 0.75])


def test_figures_stand_beside_a_dot():
    assert figures_of(rows_of([run("a")], [])[0]) == "0.625 (0.500 to 0.750) of 1,200"
