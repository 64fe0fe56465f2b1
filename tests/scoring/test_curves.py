import numpy as np
import pytest
from sklearn import metrics

from brainmri.scoring import curves
from brainmri.scoring.predictions_table import Answers


def test_each_curve_has_its_points():
    true = np.array([0, 0, 1, 1])
    raw = np.array([[0.8, 0.2], [0.6, 0.4], [0.45, 0.55], [0.7, 0.3]])
    mended = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.8, 0.2]])
    found = curves.curve_tables(Answers(true, mended, ["a", "b"], np.arange(4)), raw)
    assert list(found) == ["roc", "precision_recall", "reliability", "coverage_risk"]
    assert found["roc"].groupby("label")["true_positive_rate"].max().to_dict() == {"a": 1, "b": 1}
    bins = found["reliability"]
    for when, given in (("before", raw), ("after", mended)):
        rows = bins[(bins["when"] == when) & (bins["count"] > 0)]
        assert (rows["confidence"] * rows["count"]).sum() == pytest.approx(given.max(axis=1).sum())
    # The surest answer is right, the next one wrong, the others right.
    curve = found["coverage_risk"]
    assert np.interp([0.25, 0.5, 0.75, 1], curve["coverage"], curve["risk"]) == pytest.approx([0, 0.5, 1 / 3, 0.25])


def test_a_class_that_does_not_occur_has_no_curve():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    found = curves.curve_tables(Answers(np.array([0, 0]), probabilities, ["a", "b"], np.arange(2)), probabilities)
    assert set(found["precision_recall"]["label"]) == {"a"}
    assert found["roc"].empty


def test_curves_of_four_images_by_hand():
    positive, score = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
    x, y = curves.roc_points(positive, score)
    assert (x.tolist(), y.tolist()) == ([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1])
    x, y = curves.pr_points(positive, score)
    assert (x.tolist(), y.tolist()) == ([0, 0.5, 0.5, 1, 1], [1, 1, 0.5, pytest.approx(2 / 3), 0.5])


def test_equal_scores_are_one_point():
    x, y = curves.roc_points(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.5]))
    assert (x.tolist(), y.tolist()) == ([0, 0, 1], [0, 0.5, 1])


@pytest.mark.parametrize("images", [700, 20_000])
def test_thinning_keeps_ends_and_area(images):
    rng = np.random.default_rng(5)
    positive = rng.random(images) < 0.3
    score = rng.normal(size=images) + positive
    x, y = curves.roc_points(positive, score)
    assert len(x) <= 200
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(metrics.roc_auc_score(positive, score), abs=1e-3)
    recall, precision = curves.pr_points(positive, score)
    assert len(recall) <= 200
    assert (recall[0], precision[0], recall[-1], precision[-1]) == (0, 1, 1, positive.mean())
    whole_precision, whole_recall, _ = metrics.precision_recall_curve(positive, score)
    assert np.trapezoid(precision, recall) == pytest.approx(-np.trapezoid(whole_precision, whole_recall), abs=1e-3)


def test_thinning_stops_at_the_limit():
    x = np.linspace(0, 1, 1001)
    kept_x, kept_y = curves.thinned(x, np.sin(20 * x), limit=9)
    assert len(kept_x) == len(kept_y) == 9


def test_thinning_keeps_corners_and_drops_points_on_lines():
    x, y = np.array([0, 0, 0, 0.5, 1]), np.array([0, 0.5, 1, 1, 1])
    kept_x, kept_y = curves.thinned(x, y, limit=200)
    assert (kept_x.tolist(), kept_y.tolist()) == ([0, 0, 1], [0, 1, 1])


def test_no_curve_without_both_sides():
    score = np.array([0.2, 0.9])
    assert [len(points) for points in curves.roc_points(np.array([True, True]), score)] == [0, 0]
    assert [len(points) for points in curves.roc_points(np.array([False, False]), score)] == [0, 0]
    assert [len(points) for points in curves.pr_points(np.array([False, False]), score)] == [0, 0]
