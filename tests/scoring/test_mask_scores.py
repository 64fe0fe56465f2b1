"""Rows and summaries of masks, on a split small enough to check by eye."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from brainmri.core.index import Split
from brainmri.preprocessing.masks import NativeTruth
from brainmri.scoring import mask_scores, overlap

NAN = float("nan")


def square(top, left, side, shape=(8, 8)):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


@pytest.fixture
def split():
    """Three tumours of 4, 9 and 16 px and an image without."""
    index = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "label": ["glioma", "pituitary", "glioma", "notumor"],
            "set": "s",
            "unit": [0, 1, 2, 3],
            "training_twin": [True, False, False, False],
            "mask_row": [0, 1, 2, -1],
            "voxel_row_mm": [2.0, 2.0, NAN, NAN],
            "voxel_col_mm": [0.5, 0.5, NAN, NAN],
        }
    )
    masks = np.stack([square(2, 2, 2), square(1, 1, 3), square(3, 3, 4)])
    return Split(index, np.zeros((4, 8, 8, 1), np.uint8), masks)


def natives(split):
    for image in split.index.itertuples():
        if image.mask_row < 0:
            yield None
        else:
            large = np.kron(split.masks[image.mask_row], np.ones((2, 2), np.uint8)).astype(bool)
            yield NativeTruth(large, (image.voxel_row_mm / 2, image.voxel_col_mm / 2))


@pytest.fixture
def tables(split):
    found = np.stack([square(2, 3, 2), square(1, 1, 3), square(0, 0, 0), square(5, 5, 1)])
    return mask_scores.score_rows(split, {"some": found, "": np.zeros_like(found)}, natives(split), "pad")


def test_rows_by_hand(tables):
    rows = tables["some"]
    assert rows["area_px"].tolist() == [4, 9, 0, 1]
    assert rows["area_mm2"].tolist()[:2] == [4.0, 9.0]
    assert rows["dice"].tolist()[:3] == [0.5, 1, 0]
    assert rows["size_error"].tolist()[:3] == [0, 0, -16]
    assert rows["hd95"].tolist()[:2] == [1, 0]
    assert rows["hd95"][2] == pytest.approx(np.hypot(7, 7))
    assert rows["hd95_mm"].tolist()[:2] == [0.5, 0]  # one column to the right
    assert rows["one_empty"].tolist()[:3] == [0, 0, 1]
    assert rows.loc[3, ["dice", "truth_px", "native_dice"]].isna().all()
    assert rows.loc[2, ["hd95_mm", "native_hd95_mm"]].isna().all()


def test_native_rows_by_hand(tables):
    rows = tables["some"]
    assert rows["native_hd95"].tolist()[:2] == [2, 0]
    assert rows["native_hd95_mm"].tolist()[:2] == [0.5, 0]  # twice the pixels, half as far apart
    assert rows["native_dice"][0] == pytest.approx(0.5, abs=0.1)  # corners are rounded on the way back


def test_surface_distances_agree_with_a_search_in_mm(split, tables):
    truth, found = split.masks[0].astype(bool), square(2, 3, 2).astype(bool)
    a, b = (np.argwhere(overlap.surface(mask)) * (2.0, 0.5) for mask in (truth, found))
    distances = [cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]]
    assert tables["some"]["assd_mm"][0] == pytest.approx(np.concatenate(distances).mean())
    assert tables["some"]["hd95_mm"][0] == pytest.approx(max(np.percentile(each, 95) for each in distances))


def test_summary_by_class_and_size(tables):
    found = mask_scores.summarise(tables["some"], seed=0, repeats=100)
    found |= mask_scores.by_kind(tables["some"], [9, 16], seed=0, repeats=100)
    assert found["all"]["dice"]["mean"] == 0.5
    assert found["all"]["one_empty"] == 1
    assert found["glioma"]["dice"]["mean"] == 0.25
    sizes = {name: part["dice"]["mean"] for name, part in found["by_size"].items()}
    assert sizes == {"small": 0.5, "medium": 1, "large": 0}  # a size begins at its bound
    assert found["false_positive_area_px"] == {"images": 1, "mean": 1, "share_with_any": 1}
    assert found["all"]["hd95_mm"]["n_not_scored"] == 1
    assert found["all"]["dice"]["mean_ci95"]["low"] <= 0.5 <= found["all"]["dice"]["mean_ci95"]["high"]


def test_gate_and_twins(tables):
    clear = np.array([False, True, False, True])
    found = mask_scores.method_scores(tables["some"], tables[""], clear, [9, 16], 0, 100)
    assert found["all"]["dice"]["mean"] == 0.5
    assert found["gated"]["all"]["dice"]["mean"] == pytest.approx(0.5 / 3)
    assert found["gated"]["false_positive_area_px"]["mean"] == 0
    assert found["gated"]["emptied"] == 2
    assert (found["twin_free"]["images"], found["images"]) == (3, 4)
    assert found["twin_free"]["all"]["dice"]["mean"] == 0.5
    assert found["twin_free"]["gated"]["all"]["dice"]["mean"] == 0
    assert found["native"]["images"] == 4


def test_without_a_gate_nothing_is_gated(tables):
    found = mask_scores.method_scores(tables["some"], tables[""], None, [9, 16], 0, 100)
    assert "gated" not in found
    assert "gated" not in found["twin_free"]


def test_interval_draws_whole_units(split):
    index = split.index.assign(unit=[0, 0, 0, 1])
    together = Split(index, split.images, split.masks)
    found = np.stack([square(2, 3, 2), square(1, 1, 3), square(0, 0, 0), square(5, 5, 1)])
    table = mask_scores.score_rows(together, {"some": found}, natives(together), "pad")["some"]
    bounds = mask_scores.summarise(table, 0, 100)["all"]["dice"]["mean_ci95"]
    assert np.isnan(bounds["low"])  # one patient has all the tumours: nothing can be said of others
