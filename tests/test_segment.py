"""The segment stage on the generated set."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri import kmeans
from brainmri.index import read_split
from brainmri.params import check
from stages import segment


@pytest.fixture(scope="module")
def params():
    return check(tiny_params()["segment"], segment.Params, "segment")


@pytest.fixture(scope="module")
def segmentation(processed, params, tmp_path_factory):
    out = tmp_path_factory.mktemp("segmentation") / "out"
    segment.run(params, processed / "test", out)
    return out


def test_masks_are_those_of_the_method(segmentation, processed, params):
    split = read_split(processed / "test")
    masks = np.load(segmentation / "masks-kmeans.npy")
    for at in range(len(masks)):
        expected = kmeans.segment(np.ascontiguousarray(split.images[at, ..., 0]), **params.kmeans.model_dump())
        np.testing.assert_array_equal(masks[at].astype(bool), expected)


def test_rows_and_summary_say_the_same(segmentation, processed):
    rows = pd.read_csv(segmentation / "rows.csv")
    found = json.loads((segmentation / "scores.json").read_text())["kmeans"]
    tumour = rows[rows["truth_px"] > 0]
    assert found["images"] == 16
    assert found["images_with_tumour_mask"] == len(tumour) == 12
    assert found["all"]["dice"]["mean"] == pytest.approx(tumour["dice"].mean())
    assert found["glioma"]["dice"]["mean"] == pytest.approx(tumour["dice"][tumour["label"] == "glioma"].mean())
    assert found["false_positive_area_px"]["mean"] == pytest.approx(rows["area_px"][rows["label"] == "notumor"].mean())
    interval = found["all"]["dice"]["mean_ci95"]
    assert interval["low"] <= found["all"]["dice"]["mean"] <= interval["high"]
    assert rows["area_mm2"].isna().all()  # the files tell no voxel size


def test_dice_of_a_row_by_hand(segmentation, processed):
    split = read_split(processed / "test")
    rows = pd.read_csv(segmentation / "rows.csv")
    at = int(rows.index[rows["truth_px"] > 0][0])
    truth = split.masks[split.index.at[at, "mask_row"]].astype(bool)
    mask = np.load(segmentation / "masks-kmeans.npy")[at].astype(bool)
    assert rows.at[at, "dice"] == pytest.approx(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))


def test_areas_are_in_mm2_where_the_voxel_size_is_known(processed, params, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(processed / "test", test)
    index = pd.read_csv(test / "index.csv").assign(voxel_row_mm=2.0, voxel_col_mm=0.5)
    index.to_csv(test / "index.csv", index=False)
    segment.run(params, test, tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out/rows.csv")
    np.testing.assert_allclose(rows["area_mm2"], rows["area_px"])
    assert rows["hd95_mm"].notna().sum() == rows["hd95"].notna().sum()


def test_without_masks_there_are_overlays_and_no_scores(processed, params, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(processed / "test", test)
    np.save(test / "masks.npy", np.zeros((0, 32, 32), np.uint8))
    pd.read_csv(test / "index.csv").assign(mask_row=-1).to_csv(test / "index.csv", index=False)
    segment.run(params, test, tmp_path / "out")
    found = json.loads((tmp_path / "out/scores.json").read_text())["kmeans"]
    assert found["images_with_tumour_mask"] == 0
    assert "all" not in found
    assert (tmp_path / "out/overlays-kmeans.png").stat().st_size > 10_000


def test_two_runs_write_the_same_bytes(segmentation, processed, params, tmp_path):
    segment.run(params, processed / "test", tmp_path / "out")
    for path in segmentation.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name
