import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial import cKDTree
from scipy.spatial.distance import directed_hausdorff
from sklearn import metrics

from brainmri.core.errors import ArtifactError
from brainmri.scoring import intervals, overlap

MASKS = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)
BOUNDED = ("dice", "iou", "sensitivity", "precision", "specificity")


def square(top, left, side, shape=(10, 12)):
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def blob(seed, shape=(40, 50)):
    rng = np.random.default_rng(seed)
    centre, radii = rng.uniform(12, 28, 2), rng.uniform(4, 11, 2)
    rows, cols = np.indices(shape)
    ragged = rng.normal(0, 0.15, shape)
    return ((rows - centre[0]) / radii[0]) ** 2 + ((cols - centre[1]) / radii[1]) ** 2 + ragged < 1


def test_shifted_square_by_hand():
    result = overlap.compare(square(2, 2, 4), square(2, 4, 4))
    # 8 of 16 pixels are shared. Of the 12 pixels of each surface 4 lie on the other, 4 are 1 px off and 4 are 2 px off.
    assert result["dice"] == 0.5
    assert result["iou"] == pytest.approx(8 / 24)
    assert (result["sensitivity"], result["precision"]) == (0.5, 0.5)
    assert result["specificity"] == pytest.approx((120 - 24) / (120 - 16))
    assert result["hd95"] == 2
    assert result["assd"] == (4 * 0 + 4 * 1 + 4 * 2) / 12
    assert (result["size_error"], result["size_error_relative"], result["one_empty"]) == (0, 0, 0)


def test_surface_of_a_plus_a_square_and_the_frame():
    assert (square(1, 1, 3, (5, 5)) & ~overlap.surface(square(1, 1, 3, (5, 5)))).sum() == 1
    plus = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    assert np.argwhere(plus & ~overlap.surface(plus)).tolist() == [[1, 1]]  # corners are no neighbours
    assert overlap.surface(np.ones((3, 4), bool)).sum() == 10  # the frame's edge is surface
    assert overlap.surface(np.ones((3, 3, 3), bool)).sum() == 26


def test_agrees_with_scikit_learn():
    truth, prediction = blob(0), blob(1)
    result = overlap.compare(truth, prediction)
    flat = truth.ravel(), prediction.ravel()
    assert result["dice"] == pytest.approx(metrics.f1_score(*flat))
    assert result["iou"] == pytest.approx(metrics.jaccard_score(*flat))
    assert result["sensitivity"] == pytest.approx(metrics.recall_score(*flat))
    assert result["precision"] == pytest.approx(metrics.precision_score(*flat))
    assert result["specificity"] == pytest.approx(metrics.recall_score(~flat[0], ~flat[1]))


@pytest.mark.parametrize("spacing", [None, (0.5, 2.0)])
@pytest.mark.parametrize("seed", range(5))
def test_distances_agree_with_a_search_of_all_surface_points(seed, spacing):
    truth, prediction = blob(seed), blob(seed + 100)
    steps = np.array(spacing or (1, 1))
    a, b = (np.argwhere(overlap.surface(mask)) * steps for mask in (truth, prediction))
    there, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    result = overlap.compare(truth, prediction, spacing)
    assert result["hd95"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert result["assd"] == pytest.approx((there.sum() + back.sum()) / (len(a) + len(b)))
    assert result["hd95"] <= max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0])


def test_volume_of_unequal_steps():
    truth, prediction = np.zeros((2, 6, 6, 6), bool)
    truth[1, 2, 3] = prediction[4, 2, 3] = True
    result = overlap.compare(truth, prediction, (5.0, 1.0, 1.0))
    assert (result["dice"], result["hd95"], result["assd"]) == (0, 15, 15)
    prediction[5, 2, 3] = True
    assert overlap.compare(truth, prediction, (5.0, 1.0, 2.0))["size_error"] == 10


def test_both_empty_is_not_scored():
    empty = np.zeros((4, 4), bool)
    result = overlap.compare(empty, empty)
    not_scored = ("dice", "iou", "sensitivity", "precision", "hd95", "assd", "size_error_relative", "one_empty")
    assert all(np.isnan(result[name]) for name in not_scored)
    assert (result["specificity"], result["size_error"]) == (1, 0)


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_costs_the_diagonal(missed):
    some, empty = square(0, 0, 2, (4, 5)), np.zeros((4, 5), bool)
    result = overlap.compare(some, empty) if missed else overlap.compare(empty, some)
    assert (result["dice"], result["iou"], result["one_empty"]) == (0, 0, 1)
    assert result["hd95"] == result["assd"] == 5  # 3 rows down and 4 columns across
    assert result["size_error"] == (-4 if missed else 4)
    assert np.isnan(result["precision" if missed else "sensitivity"])
    assert result["sensitivity" if missed else "precision"] == 0


@given(MASKS)
def test_bounds_and_symmetry(masks):
    truth, prediction = masks
    there, back = overlap.compare(truth, prediction), overlap.compare(prediction, truth)
    assert all(np.isnan(there[name]) or 0 <= there[name] <= 1 for name in BOUNDED)
    diagonal = np.linalg.norm(np.array(truth.shape) - 1)
    assert not there["hd95"] > diagonal + 1e-9
    assert not there["assd"] > diagonal + 1e-9
    for name in ("dice", "iou", "hd95", "assd", "one_empty"):
        assert there[name] == pytest.approx(back[name], nan_ok=True)
    assert there["sensitivity"] == pytest.approx(back["precision"], nan_ok=True)
    assert there["size_error"] == -back["size_error"]


@given(MASKS)
def test_a_mask_agrees_with_itself(masks):
    truth = masks[0]
    assume(truth.any())
    result = overlap.compare(truth, truth)
    assert (result["dice"], result["iou"], result["hd95"], result["assd"], result["size_error"]) == (1, 1, 0, 0, 0)


@given(MASKS, st.integers(0, 3), st.integers(0, 3))
def test_moving_both_masks_changes_nothing(masks, before, after):
    assume(masks[0].any() and masks[1].any())
    moved = [np.pad(mask, (before, after)) for mask in masks]
    still, result = overlap.compare(*masks), overlap.compare(*moved)
    del still["specificity"], result["specificity"]  # counts the background, which padding adds
    assert result == pytest.approx(still)


@given(MASKS, st.floats(0.1, 10))
def test_spacing_scales_distances_and_sizes(masks, step):
    truth, prediction = masks
    in_px, in_mm = overlap.compare(truth, prediction), overlap.compare(truth, prediction, [step] * truth.ndim)
    for name in ("hd95", "assd"):
        assert in_mm[name] == pytest.approx(in_px[name] * step, nan_ok=True)
    assert in_mm["size_error"] == pytest.approx(in_px["size_error"] * step**truth.ndim)
    assert in_mm["dice"] == pytest.approx(in_px["dice"], nan_ok=True)


@pytest.mark.parametrize(
    ("truth", "prediction", "spacing", "match"),
    [
        (np.zeros((2, 2), bool), np.zeros((2, 3), bool), None, r"received bool \(2, 2\) and bool \(2, 3\)"),
        (np.zeros((2, 2), bool), np.zeros((2, 2), np.uint8), None, r"and uint8 \(2, 2\)"),
        (np.zeros((2, 2), bool), np.zeros((2, 2), bool), [1.0], r"2 lengths above 0, one an axis, received \[1.0\]"),
        (np.zeros((2, 2), bool), np.zeros((2, 2), bool), [1.0, 0.0], "lengths above 0"),
        (np.zeros((2, 2), bool), np.zeros((2, 2), bool), [1.0, float("nan")], "lengths above 0"),
    ],
)
def test_refuses_masks_that_do_not_fit(truth, prediction, spacing, match):
    with pytest.raises(ArtifactError, match=match):
        overlap.compare(truth, prediction, spacing)


def test_summary_by_hand():
    result = overlap.summary(np.array([0.2, np.nan, 0.4, 0.9]))
    assert result == pytest.approx({"mean": 0.5, "median": 0.4, "p5": 0.22, "n": 3, "n_not_scored": 1})


def test_summary_of_nothing_scored():
    result = overlap.summary(np.array([np.nan, np.nan]))
    assert (result["n"], result["n_not_scored"]) == (0, 2)
    assert np.isnan([result["mean"], result["median"], result["p5"]]).all()
    assert overlap.summary(np.empty(0))["n"] == 0


@given(st.lists(st.tuples(st.floats(0, 1) | st.just(float("nan")), st.integers(0, 4)), min_size=1, max_size=12))
def test_weights_count_as_repeated_images(rows):
    values, times = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    result = overlap.weighted({"dice": values}, times[None].astype(float))
    repeated = np.repeat(values, times)
    repeated = repeated[~np.isnan(repeated)]
    expected = [repeated.mean(), *np.quantile(repeated, [0.5, 0.05])] if len(repeated) else [np.nan] * 3
    assert [result[f"dice.{name}"][0] for name in ("mean", "median", "p5")] == pytest.approx(expected, nan_ok=True)


def test_intervals_of_all_columns_at_once():
    rng = np.random.default_rng(0)
    scores = {"dice": rng.beta(8, 2, 200), "hd95": rng.exponential(5, 200)}
    scores["dice"][:3] = np.nan
    result = intervals.bootstrap(np.arange(200) // 5, lambda weights: overlap.weighted(scores, weights), rng, 500)
    for name, values in scores.items():
        point = overlap.summary(values)
        for part in ("mean", "median", "p5"):
            assert result[f"{name}.{part}"]["low"] <= point[part] <= result[f"{name}.{part}"]["high"]
