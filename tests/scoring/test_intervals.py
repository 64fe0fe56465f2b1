import time

import numpy as np
import pytest
from scipy import stats

from brainmri.scoring import intervals, scores

NAMES = ["a", "b", "c", "d"]


def mean_of(values):
    return lambda weights: {"mean": weights @ values / weights.sum(1)}


def test_agrees_with_scipys_bootstrap_for_single_images():
    values = np.random.default_rng(0).normal(size=80)
    ours = intervals.bootstrap(np.arange(80), mean_of(values), np.random.default_rng(1), repeats=4000)["mean"]
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=2).confidence_interval
    assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert ours["dropped"] == 0


def test_images_of_a_group_are_drawn_together():
    seen = []

    def statistic(weights):
        seen.append(weights)
        return {"images": weights.sum(1)}

    groups = np.array(["b", "a", "b", "c"])
    intervals.bootstrap(groups, statistic, np.random.default_rng(0), repeats=50)
    drawn = np.concatenate(seen[1:])
    assert drawn.shape == (50, 4)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 2])
    np.testing.assert_array_equal(drawn[:, [0, 1, 3]].sum(1), np.full(50, 3))


def test_groups_widen_the_interval_of_images_that_go_together():
    by_group = np.random.default_rng(0).normal(size=30)
    values = np.repeat(by_group, 10)
    single, grouped = (
        intervals.bootstrap(groups, mean_of(values), np.random.default_rng(1))["mean"]
        for groups in (np.arange(300), np.repeat(np.arange(30), 10))
    )
    ratio = (grouped["high"] - grouped["low"]) / (single["high"] - single["low"])
    assert ratio == pytest.approx(np.sqrt(10), rel=0.1)


def test_same_seed_same_interval_whatever_is_handled_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(size=30)
    run = lambda: intervals.bootstrap(np.arange(30), mean_of(values), np.random.default_rng(5), repeats=101)  # noqa: E731
    whole = run()
    monkeypatch.setattr(intervals, "WEIGHTS_AT_ONCE", 300)
    assert run() == whole


def test_undefined_resamples_are_dropped_and_counted():
    true = np.array([0] * 19 + [1])
    result = intervals.bootstrap(np.arange(20), _recall_of_class_1(true), np.random.default_rng(0), repeats=2000)
    # The one image of class 1 is missing from (1 - 1/20)^20 = 36 % of the resamples.
    assert result["recall"]["dropped"] == pytest.approx(0.358 * 2000, rel=0.1)
    assert (result["recall"]["low"], result["recall"]["high"]) == (1, 1)


def _recall_of_class_1(true):
    def statistic(weights):
        support = weights @ (true == 1)
        return {"recall": np.where(support > 0, 1.0, np.nan)}

    return statistic


def test_one_group_has_no_interval():
    result = intervals.bootstrap(np.zeros(9), mean_of(np.arange(9.0)), np.random.default_rng(0), repeats=10)["mean"]
    assert np.isnan([result["low"], result["high"]]).all()
    assert result["dropped"] == 10


def test_all_correct_is_not_certainty():
    right = np.ones(40)
    result = intervals.bootstrap(np.arange(40), mean_of(right), np.random.default_rng(0), trials={"mean": (40, 0)})
    assert result["mean"]["low"] == pytest.approx(40 / (40 + intervals.NORMAL_QUANTILE**2))
    assert result["mean"]["high"] == 1


def test_many_mistakes_leave_the_percentiles_alone():
    # Ten groups that are each half right: they hardly differ, while Wilson's interval for ten trials is wide.
    values, groups = np.arange(400) % 2.0, np.arange(400) // 40
    plain, many, few = (
        intervals.bootstrap(groups, mean_of(values), np.random.default_rng(0), trials=trials)["mean"]
        for trials in (None, {"mean": (10, 5)}, {"mean": (10, 4)})
    )
    assert plain == many
    assert few["low"] < 0.25 < plain["low"]


def test_a_share_of_no_trials_keeps_the_percentiles():
    result = intervals.bootstrap(np.arange(4), mean_of(np.zeros(4)), np.random.default_rng(0), trials={"mean": (0, 0)})
    assert (result["mean"]["low"], result["mean"]["high"]) == (0, 0)


@pytest.mark.parametrize(("correct", "size"), [(0, 5), (3, 7), (99, 100), (50, 50)])
def test_wilson_agrees_with_scipy(correct, size):
    expected = stats.binomtest(correct, size).proportion_ci(method="wilson")
    assert intervals.wilson(correct / size, size) == pytest.approx((expected.low, expected.high), abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "group_size"), [(0.85, 1), (0.95, 1), (0.99, 1), (0.999, 1), (0.97, 4)])
def test_intervals_of_accuracy_cover_the_truth(share, group_size):
    rng = np.random.default_rng(7)
    covered, patients, trials = 0, 100, 400
    groups = np.repeat(np.arange(patients), group_size)
    for _ in range(trials):
        right = np.repeat(rng.random(patients) < share, group_size)  # slices of a patient stand or fall together
        mistaken = len(np.unique(groups[~right]))
        result = intervals.bootstrap(groups, mean_of(right * 1.0), rng, 300, {"mean": (patients, mistaken)})["mean"]
        covered += result["low"] <= share <= result["high"]
    assert covered / trials >= 0.93  # the percentiles alone: 0.64 at a share of 0.99, 0.09 at 0.999


@pytest.mark.slow
def test_macro_recall_covers_the_truth_when_one_class_is_rare():
    rng = np.random.default_rng(8)
    share, trials, covered = 0.97, 150, 0
    true = np.repeat([0, 1, 2, 3], [20, 100, 100, 100])
    for _ in range(trials):
        wrong = rng.random(len(true)) >= share
        probabilities = np.where(np.eye(4)[(true + wrong) % 4] > 0, 0.7, 0.1)
        result = _all_intervals(true, probabilities, np.arange(len(true)), rng, repeats=200)["macro.recall"]
        covered += result["low"] <= share <= result["high"]
    assert covered / trials >= 0.93  # the percentiles alone: 0.85


def _all_intervals(true, probabilities, groups, rng, repeats=1000):
    def statistic(weights):
        return scores.weighted(true, probabilities, NAMES, weights)

    return intervals.bootstrap(groups, statistic, rng, repeats, scores.trials(true, probabilities, NAMES, groups))


def test_every_score_of_1311_images_within_five_cpu_seconds():
    rng = np.random.default_rng(9)
    true = rng.integers(4, size=1311)
    probabilities = rng.dirichlet(np.ones(4), size=1311) / 2 + np.eye(4)[true] / 2
    start = time.process_time()
    result = _all_intervals(true, probabilities, np.arange(1311) // 2, rng)
    assert time.process_time() - start < 5
    point = scores.weighted(true, probabilities, NAMES, np.ones((1, 1311)))
    assert result.keys() == point.keys()
    assert all(interval["low"] <= point[name][0] <= interval["high"] for name, interval in result.items())


def test_a_perfect_classifier_gets_no_interval_without_width():
    true = np.arange(80) % 4
    probabilities = np.where(np.eye(4)[true] > 0, 0.7, 0.1)
    result = _all_intervals(true, probabilities, np.arange(80), np.random.default_rng(0))
    flat = [name for name, interval in result.items() if name != "loss" and interval["low"] > 0.99]
    assert flat == []
    assert result["accuracy"]["low"] == result["macro.f1"]["low"] == pytest.approx(80 / 83.84, abs=1e-4)
