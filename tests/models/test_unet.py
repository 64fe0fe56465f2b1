"""The U-Net's loss and answers."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from brainmri.core.errors import ArtifactError
from brainmri.models import unet
from brainmri.models.unet import Cleaning, Unet
from brainmri.models.unet_params import CleaningCandidates
from brainmri.segmentation.methods import Tools, outline

PLAIN = Cleaning(threshold=0.5, smallest_px=0, largest_only=False, fill_holes=False)


def masks(*rows):
    """Return (N, 1, W, 1) float32 of rows of numbers."""
    return np.array(rows, np.float32)[:, None, :, None]


def test_the_loss_is_the_one_worked_out_by_hand():
    true, given = masks([1, 1, 0, 0]), masks([0.5, 1, 0.5, 0])
    dice = (2 * 1.5 + 1) / (2 + 2 + 1)
    entropy = 2 * np.log(2) / 4  # two pixels at one half, two certain and right
    for weight in (0, 0.25, 1):
        loss = np.asarray(unet.dice_cross_entropy(weight)(true, given))
        assert loss == pytest.approx([weight * (1 - dice) + (1 - weight) * entropy], abs=1e-5)


def test_an_empty_mask_has_a_loss_that_falls_as_less_is_predicted():
    empty = masks([0, 0, 0, 0])
    losses = [float(unet.dice_cross_entropy(0.5)(empty, masks([p] * 4))[0]) for p in (0.9, 0.5, 0.1, 0.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0, abs=1e-6)
    assert np.asarray(unet.soft_dice(empty, empty)) == pytest.approx([1])


def test_each_image_has_its_own_loss():
    true, given = masks([1, 0], [0, 1]), masks([1, 0], [1, 0])
    losses = np.asarray(unet.dice_cross_entropy(1.0)(true, given))
    assert losses == pytest.approx([0, 1 - 1 / 3])


@pytest.fixture
def picture():
    """Probabilities with a ring of 8 pixels about a hole, a component of 2, one of 1 at its corner."""
    return np.array(
        [
            [9, 9, 9, 0, 0, 0],
            [9, 0, 9, 0, 6, 0],
            [9, 9, 9, 0, 6, 0],
            [0, 0, 0, 0, 0, 5],
        ]
    ) / np.float32(10)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "pixels"),
    [
        ({}, 11),
        ({"threshold": 0.55}, 10),
        ({"threshold": 0.95}, 0),
        ({"smallest_px": 3}, 11),  # corners connect
        ({"smallest_px": 4}, 8),
        ({"smallest_px": 9}, 0),
        ({"largest_only": True}, 8),
        ({"fill_holes": True}, 12),
        ({"largest_only": True, "fill_holes": True, "smallest_px": 8}, 9),
    ],
)
def test_cleaning_does_what_it_says(picture, changes, pixels):
    mask = unet.clean(picture, Cleaning(**{**vars(PLAIN), **changes}))
    assert mask.dtype == bool
    assert mask.sum() == pixels


def test_components_agree_with_scipy():
    rng = np.random.default_rng(0)
    for _ in range(50):
        noise = ndimage.gaussian_filter(rng.random((24, 24)), 1).astype(np.float32)
        labels, count = ndimage.label(noise >= 0.52, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())[1:]
        expected = np.isin(labels, 1 + np.flatnonzero(sizes >= 6))
        assert count > 1
        np.testing.assert_array_equal(unet.clean(noise, Cleaning(0.52, 6, False, False)), expected)


def test_every_combination_is_compared():
    truth = np.zeros((2, 4, 4), bool)
    truth[:, :2, :2] = True
    probabilities = np.where(truth, 0.6, 0.0).astype(np.float32)
    probabilities[:, 3, 3] = 0.9
    candidates = CleaningCandidates(threshold=[0.5, 0.7], smallest_px=[0, 2], largest_only=[False], fill_holes=[False])
    table = unet.compare_cleanings(truth, probabilities, candidates)
    assert table[["threshold", "smallest_px"]].to_numpy().tolist() == [[0.5, 0], [0.5, 2], [0.7, 0], [0.7, 2]]
    assert table["dice"].tolist() == pytest.approx([8 / 9, 1, 0, 0])
    assert unet.best_cleaning(table) == Cleaning(0.5, 2, False, False)


@pytest.fixture
def bright():
    """A U-Net whose probability is the first channel itself, but for the leftmost column, where it is 0."""
    inputs = keras.Input((4, 4, 3))
    grey = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(inputs)
    cut = keras.layers.ZeroPadding2D(((0, 0), (1, 0)))(keras.layers.Cropping2D(((0, 0), (1, 0)))(grey))
    return Unet(keras.Model(inputs, cut), {"size": 4}, False, PLAIN)


def test_the_answer_of_the_mirror_image_is_turned_back(bright):
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[0, :, :, 0] = 255
    plain = unet.unet_probabilities(bright, images)
    np.testing.assert_allclose(plain[0, 0], [0, 1, 1, 1])
    both = unet.unet_probabilities(Unet(bright.model, {}, True, PLAIN), images)
    np.testing.assert_allclose(both[0, 0], [0.5, 1, 1, 0.5])


def test_masks_do_not_depend_on_the_size_of_a_batch(bright, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), np.uint8)
    images[..., 1:] = 0
    tools = Tools(None, bright)
    whole = outline("unet", images, tools)
    expected = images[..., 0] / 255 >= 0.5
    expected[..., 0] = False
    np.testing.assert_array_equal(whole, expected)
    monkeypatch.setattr(unet, "BATCH", 2)
    np.testing.assert_array_equal(outline("unet", images, tools), whole)
    assert outline("unet", images[:0], tools).shape == (0, 4, 4)


def test_a_skipped_stage_gives_no_network(tmp_path):
    (tmp_path / "skipped.json").write_text('{"reason": "no masks"}')
    assert unet.load_unet(tmp_path) is None
    with pytest.raises(ArtifactError, match=r"preprocess.json: no such file"):
        unet.load_unet(tmp_path / "elsewhere")
