import numpy as np
import pytest
from sklearn import metrics
from test_scores import made_up

from brainmri.scoring import rankings


@pytest.mark.parametrize("ties", [False, True])
def test_curves_pass_through_scikit_learns_points(ties):
    true, probabilities = made_up(150, seed=4, ties=ties)
    positive, score = true == 1, probabilities[:, 1]
    rates = metrics.roc_curve(positive, score, drop_intermediate=False)[:2]
    np.testing.assert_allclose(rankings.roc_points(positive, score, limit=10_000), _needed(*rates), atol=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(positive, score)
    expected = _needed(recall[::-1], precision[::-1])
    np.testing.assert_allclose(rankings.pr_points(positive, score, limit=10_000), expected, atol=1e-12)


def _needed(x, y):
    return rankings.thinned(x, y, limit=10_000)


@pytest.mark.parametrize("images", [700, 20_000])
def test_thinning_keeps_ends_and_area(images):
    rng = np.random.default_rng(5)
    positive = rng.random(images) < 0.3
    score = rng.normal(size=images) + positive
    x, y = rankings.roc_points(positive, score)
    assert len(x) <= 200
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(metrics.roc_auc_score(positive, score), abs=1e-3)
    recall, precision = rankings.pr_points(positive, score)
    assert len(recall) <= 200
    assert (recall[0], precision[0], recall[-1], precision[-1]) == (0, 1, 1, positive.mean())
    whole_precision, whole_recall, _ = metrics.precision_recall_curve(positive, score)
    assert np.trapezoid(precision, recall) == pytest.approx(-np.trapezoid(whole_precision, whole_recall), abs=1e-3)


def test_thinning_stops_at_the_limit():
    x = np.linspace(0, 1, 1001)
    kept_x, kept_y = rankings.thinned(x, np.sin(20 * x), limit=9)
    assert len(kept_x) == len(kept_y) == 9


def test_thinning_keeps_corners_and_drops_points_on_lines():
    x, y = np.array([0, 0, 0, 0.5, 1]), np.array([0, 0.5, 1, 1, 1])
    kept_x, kept_y = rankings.thinned(x, y, limit=200)
    assert (kept_x.tolist(), kept_y.tolist()) == ([0, 0, 1], [0, 1, 1])


def test_no_curve_without_both_sides():
    score = np.array([0.2, 0.9])
    assert [len(points) for points in rankings.roc_points(np.array([True, True]), score)] == [0, 0]
    assert [len(points) for points in rankings.roc_points(np.array([False, False]), score)] == [0, 0]
    assert [len(points) for points in rankings.pr_points(np.array([False, False]), score)] == [0, 0]
