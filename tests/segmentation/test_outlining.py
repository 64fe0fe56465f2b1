"""Pieces of a set outlined by a method."""

import numpy as np
import pandas as pd
import pytest
from conftest import draw_scan, tiny_params

from brainmri.core.params import check
from brainmri.segmentation import outlining
from brainmri.segmentation.methods import Tools, outline
from brainmri.segmentation.segment_params import SegmentParams


@pytest.fixture
def params():
    return check(tiny_params()["segment"], SegmentParams, "segment")


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", np.stack([draw_scan(rng, "glioma")[0] for _ in range(7)])[..., None])
    return tmp_path / "images.npy"


def test_pieces_are_those_rows_of_the_array_that_the_index_names(images, params, tmp_path, monkeypatch):
    monkeypatch.setattr(outlining, "AT_ONCE", 2)
    index = pd.DataFrame({"label": ["glioma"] * 5}, index=range(2, 7))
    pieces = outlining.pieces("kmeans", params, images, index, tmp_path / "unet", None)
    assert [piece.size for piece in pieces] == [2, 2, 1]
    assert {piece.reads for piece in pieces} == {(images,)}
    masks = np.concatenate([outlining.outline_piece(*piece.args)[1]["masks"] for piece in pieces])
    np.testing.assert_array_equal(masks, outline("kmeans", np.load(images)[2:], Tools(params)))
    assert masks.dtype == np.uint8


def test_a_piece_names_the_models_that_it_reads(images, params, tmp_path):
    index = pd.DataFrame({"label": ["glioma"] * 7})
    unet, guide = tmp_path / "unet", tmp_path / "classifier"
    [piece] = outlining.pieces("unet", params, images, index, unet, guide)
    assert piece.reads == (images, unet / "model.keras", guide / "model.keras")


def test_a_network_that_is_not_there_is_none(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/skipped.json").write_text('{"reason": "no masks"}')
    assert outlining.kept_unet(tmp_path / "unet") is None
