"""Pairing, paired intervals and McNemar's test, on tables small enough to check by eye or against a second source."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from brainmri.scoring import intervals, paired_tests, scores

NAMES = ["glioma", "notumor"]


def table(labels, predicted, units=None, names=NAMES, confidence=0.8):
    """Rows of predictions whose likeliest class has `confidence`, the others share the rest."""
    true_columns = np.eye(len(names))[[names.index(name) for name in predicted]]
    rest = (1 - confidence) / (len(names) - 1)
    chances = np.where(true_columns > 0, confidence, rest)
    rows = {"image_id": [f"i{at:03}" for at in range(len(labels))], "label": labels, "predicted": predicted}
    rows["unit"] = [str(unit) for unit in (range(len(labels)) if units is None else units)]
    return pd.DataFrame(rows | {f"p_{name}": chances[:, at] for at, name in enumerate(names)})


def draw(rng, count, share, labels=None):
    """Answers that are right in a share of the images."""
    labels = labels or [NAMES[at % 2] for at in range(count)]
    wrong = rng.random(count) >= share
    return labels, [NAMES[NAMES.index(name) ^ int(miss)] for name, miss in zip(labels, wrong, strict=True)]


ids = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(ids, ids, st.randoms(use_true_random=False))
def test_every_image_is_paired_once_or_named_alone(first, second, order):
    a, b = (pd.DataFrame({"image_id": names, "at": range(len(names))}) for names in (first, second))
    pairs = paired_tests.pair(a, b)
    assert list(pairs.a["image_id"]) == list(pairs.b["image_id"]) == sorted(set(first) & set(second))
    assert pairs.only_a == sorted(set(first) - set(second))
    assert pairs.only_b == sorted(set(second) - set(first))
    assert [first[at] for at in pairs.a["at"]] == list(pairs.a["image_id"])  # each with its own row
    assert [second[at] for at in pairs.b["at"]] == list(pairs.b["image_id"])
    order.shuffle(second)
    again = paired_tests.pair(a, b.set_index("image_id").loc[second].reset_index())
    assert again.b["at"].tolist() == pairs.b["at"].tolist()


def test_units_are_what_either_revision_keeps_together():
    # A keeps 0 and 1 together, B 1 and 2: all three hang together. 3 and 4 have equal numbers in no revision.
    units = paired_tests.joint_units(np.array(["p", "p", "q", "r", "s"]), np.array([1, 2, 2, 3, 4]))
    assert units[0] == units[1] == units[2]
    assert len(set(units)) == 3


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_units_are_the_finest_that_hold_both(rows):
    a, b = np.array(rows).T
    units = paired_tests.joint_units(a, b)
    expected = list(range(len(rows)))
    for _ in rows:  # the slow way: spread the smallest number until nothing moves
        for at in range(len(rows)):
            expected[at] = min(expected[to] for to in range(len(rows)) if a[to] == a[at] or b[to] == b[at])
    np.testing.assert_array_equal(units[:, None] == units, np.array(expected)[:, None] == np.array(expected))


def test_mcnemar_by_hand():
    # 8 images tell the two apart, 1 for A and 7 for B: p = 2 (1 + 8) / 2^8.
    right_a = np.array([True] * 20 + [True] + [False] * 7 + [False] * 3)
    right_b = np.array([True] * 20 + [False] + [True] * 7 + [False] * 3)
    assert paired_tests.mcnemar(right_a, right_b) == {
        "only_a_right": 1,
        "only_b_right": 7,
        "p": pytest.approx(18 / 256),
    }
    assert paired_tests.mcnemar(right_b, right_a) == {
        "only_a_right": 7,
        "only_b_right": 1,
        "p": pytest.approx(18 / 256),
    }


def test_mcnemar_without_a_difference_or_with_an_even_one():
    right = np.array([True, False, True])
    assert paired_tests.mcnemar(right, right)["p"] == 1
    assert paired_tests.mcnemar(np.array([True, False]), np.array([False, True]))["p"] == 1


def test_differences_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, first = draw(rng, 60, 0.7)
    _, second = draw(rng, 60, 0.9)
    found = paired_tests.classification(table(labels, first), table(labels, second), 0, 100)["scores"]
    for key, score in (
        ("accuracy", metrics.accuracy_score),
        ("macro.f1", lambda true, guess: metrics.f1_score(true, guess, average="macro")),
        ("classes.glioma.recall", lambda true, guess: metrics.recall_score(true, guess, pos_label="glioma")),
        ("classes.notumor.f1", lambda true, guess: metrics.f1_score(true, guess, pos_label="notumor")),
    ):
        a, b = score(labels, first), score(labels, second)
        assert (found[key]["a"], found[key]["b"]) == pytest.approx((a, b))
        assert found[key]["difference"] == pytest.approx(b - a)
        assert found[key]["low"] <= b - a <= found[key]["high"]


def test_pairing_cancels_what_is_hard_for_both():
    rng = np.random.default_rng(2)
    labels, first = draw(rng, 400, 0.7)
    second = list(first)
    second[:12] = labels[:12]  # B mends some of A's mistakes and makes no other
    row = paired_tests.classification(table(labels, first), table(labels, second), 0, 1000)["scores"]["accuracy"]
    alone = [
        intervals.bootstrap(np.arange(400), lambda w, r=guess: {"x": w @ r / w.sum(1)}, np.random.default_rng(0))["x"]
        for guess in (np.array(labels) == first, np.array(labels) == second)
    ]
    assert row["high"] - row["low"] < 0.4 * min(bounds["high"] - bounds["low"] for bounds in alone)


def test_units_widen_the_interval():
    labels = ["glioma", "notumor"] * 60
    first, second = (draw(np.random.default_rng(seed), 12, 0.6)[1] for seed in (3, 4))
    first, second = (list(np.repeat(answers, 10)) for answers in (first, second))
    labels = list(np.repeat(labels[:12], 10))
    found = [
        paired_tests.classification(table(labels, first, units), table(labels, second, units), 0, 1000)
        for units in (None, np.repeat(np.arange(12), 10))
    ]
    single, grouped = (part["scores"]["accuracy"]["high"] - part["scores"]["accuracy"]["low"] for part in found)
    assert (found[0]["units"], found[1]["units"]) == (120, 12)
    assert grouped > 2 * single


def test_one_and_the_same_model_differs_by_nothing():
    labels, answers = draw(np.random.default_rng(5), 40, 0.8)
    found = paired_tests.classification(table(labels, answers), table(labels, answers), 0, 100)
    assert found["same"]
    assert all((row["difference"], row["low"], row["high"]) == (0, 0, 0) for row in found["scores"].values())


def test_other_probabilities_with_equal_answers_leave_room_for_a_difference():
    labels, answers = draw(np.random.default_rng(5), 40, 0.8)
    found = paired_tests.classification(table(labels, answers), table(labels, answers, confidence=0.9), 0, 100)
    accuracy = found["scores"]["accuracy"]
    edge = 1 - 40 / (40 + intervals.NORMAL_QUANTILE**2)  # Wilson's for 0 of 40
    assert not found["same"]
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((-edge, edge), abs=1e-6)
    assert found["scores"]["loss"]["difference"] != 0


def test_many_disagreements_leave_the_percentiles_alone():
    plain = intervals.Interval(low=-0.01, high=0.02, dropped=0)
    assert paired_tests.joined(plain, 0.0, 100, 3, 2) == plain
    wider = paired_tests.joined(plain, 0.0, 100, 2, 2)
    assert wider["low"] < -0.01 < 0.02 < wider["high"]
    assert paired_tests.joined(plain, 0.0, 0, 0, 0) == plain


def test_joined_interval_is_newcombes():
    # Method 10 of the paper for 56/70 and 48/80, as printed in its table: 0.0524 to 0.3339.
    empty = intervals.Interval(low=0.2, high=0.2, dropped=0)
    found = [intervals.wilson(56 / 70, 70), intervals.wilson(48 / 80, 80)]
    low = 0.2 - np.hypot(0.8 - found[0][0], found[1][1] - 0.6)
    high = 0.2 + np.hypot(found[0][1] - 0.8, 0.6 - found[1][0])
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    # And ours for 1 of 30 worse, 3 of 30 better: the same arithmetic with equal sizes.
    worse, better = intervals.wilson(1 / 30, 30), intervals.wilson(3 / 30, 30)
    ours = paired_tests.joined(empty | {"low": 1 / 15, "high": 1 / 15}, 1 / 15, 30, 1, 3)
    assert ours["low"] == pytest.approx(1 / 15 - np.hypot(0.1 - better[0], worse[1] - 1 / 30))
    assert ours["high"] == pytest.approx(1 / 15 + np.hypot(better[1] - 0.1, 1 / 30 - worse[0]))


def test_disagreements_by_hand():
    true = np.array(["g", "g", "g", "n", "n", "n"])
    first = np.array(["g", "g", "n", "n", "n", "g"])
    second = np.array(["g", "n", "g", "n", "n", "n"])
    units = np.array([0, 0, 0, 1, 2, 3])
    found = paired_tests.disagreements(true, first, second, ["g", "n"], units)
    assert found["accuracy"] == (4, 1, 2)  # unit 0 both fell and rose, unit 3 rose
    assert found["classes.g.recall"] == (1, 1, 1)
    assert found["classes.g.f1"] == (2, 1, 2)  # unit 3 bears on it, because A called its image g
    assert found["classes.n.f1"] == (4, 1, 2)
    assert found["macro.f1"] == (4, 1, 2)  # two classes, the rarest in two units


def test_a_class_without_images_is_left_out_and_one_unit_has_no_interval():
    labels = ["glioma"] * 4
    found = paired_tests.classification(
        table(labels, labels, [0] * 4), table(labels, ["glioma"] * 3 + ["notumor"], [0] * 4), 0, 100
    )
    assert "classes.notumor.f1" not in found["scores"]
    assert found["scores"]["accuracy"] == {"a": 1, "b": 0.75, "difference": -0.25, "low": None, "high": None}


def test_models_with_other_classes_are_compared_on_what_they_share():
    labels = ["glioma", "notumor"] * 5
    more = ["glioma", "other", "notumor"]
    found = paired_tests.classification(
        table(labels, labels), table(labels, ["other", *labels[1:]], names=more), 0, 100
    )
    assert found["scores"]["accuracy"]["difference"] == pytest.approx(-0.1)
    assert not found["same"]
    assert [key for key in found["scores"] if "other" in key] == []


def rows_of_dice(dice, truth=None, units=None):
    count = len(dice)
    return pd.DataFrame(
        {"image_id": [f"i{at}" for at in range(count)], "unit": units or [str(at) for at in range(count)],
         "dice": dice, "truth_px": truth or [9.0] * count}
    )  # fmt: skip


def test_dice_is_compared_where_both_have_a_tumour_in_truth():
    a = rows_of_dice([0.2, 0.4, 0.6, 0.9, np.nan], [9, 9, 9, 0, 9])
    b = rows_of_dice([0.3, 0.5, 0.7, 0.0, 0.5], [9, 9, 9, 0, 9])
    found = paired_tests.dice(a, b, 0, 200)
    assert (found["images"], found["units"]) == (3, 3)
    assert (found["a"], found["b"]) == pytest.approx((0.4, 0.5))
    assert (found["low"], found["difference"], found["high"]) == pytest.approx((0.1, 0.1, 0.1))


def test_dice_without_a_shared_tumour_is_not_defined():
    found = paired_tests.dice(rows_of_dice([0.5], [0]), rows_of_dice([0.5], [0]), 0, 100)
    assert found["images"] == 0
    assert (found["a"], found["difference"], found["low"]) == (None, None, None)


@pytest.mark.parametrize(
    ("units", "worse", "better"), [(100, 0.01, 0.01), (100, 0.03, 0.0), (200, 0.05, 0.1), (30, 0.02, 0.05)]
)
def test_intervals_of_a_difference_cover_the_truth(units, worse, better):
    rng = np.random.default_rng(11)
    runs, covered, size = 300, 0, 3  # three slices a patient, which stand or fall together
    groups = np.repeat(np.arange(units), size)
    for _ in range(runs):
        kind = np.repeat(rng.choice(3, units, p=[worse, better, 1 - worse - better]), size)
        change = np.select([kind == 0, kind == 1], [-1.0, 1.0], 0.0)
        bounds = intervals.bootstrap(
            groups, lambda w, c=change: {"accuracy": w @ c / w.sum(1)}, np.random.default_rng(0), 200
        )
        fell, rose = (len(np.unique(groups[kind == which])) for which in (0, 1))
        found = paired_tests.joined(bounds["accuracy"], change.mean(), units, fell, rose)
        covered += found["low"] <= better - worse <= found["high"]
    assert covered / runs >= 0.93  # the percentiles alone: 0.73 with 30 units


@settings(max_examples=30)
@given(st.data())
def test_swapping_the_revisions_mirrors_the_differences(data):
    count = data.draw(st.integers(4, 12))
    answers = st.lists(st.sampled_from(NAMES), min_size=count, max_size=count)
    labels, first, second = (data.draw(answers) for _ in range(3))
    a, b = table(labels, first), table(labels, second)
    there, back = paired_tests.classification(a, b, 3, 100), paired_tests.classification(b, a, 3, 100)
    assert there["mcnemar"]["p"] == back["mcnemar"]["p"]
    for key, row in there["scores"].items():
        assert row["difference"] == pytest.approx(-back["scores"][key]["difference"])
        if row["low"] is not None:
            assert (row["low"], row["high"]) == pytest.approx(
                (-back["scores"][key]["high"], -back["scores"][key]["low"]), abs=1e-9
            )


def test_a_difference_of_scores_is_that_of_the_scores_module():
    rng = np.random.default_rng(6)
    labels, first = draw(rng, 30, 0.6)
    found = paired_tests.classification(table(labels, first), table(labels, labels), 0, 100)["scores"]["loss"]
    true = np.array([NAMES.index(name) for name in labels])
    whole = [
        scores.classification(true, table(labels, guess)[["p_glioma", "p_notumor"]].to_numpy(), NAMES)["loss"]
        for guess in (first, labels)
    ]
    assert (found["a"], found["b"]) == pytest.approx(whole)
