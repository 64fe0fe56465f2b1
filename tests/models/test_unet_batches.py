"""Images and masks that are varied alike."""

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.errors import InputError
from brainmri.core.index import Split, read_split
from brainmri.core.params import check
from brainmri.models.unet_batches import Pair, PairBatches, clear, folds, masked, vary_pair
from brainmri.preprocessing.augmentation import VariationParams, draw, vary

OFF = {
    name: type(value)(0) for name, value in tiny_params()["train_unet"]["variation"].items()
}  # every range that there is, without any variation


def variation(**changes):
    return check({**OFF, **changes}, VariationParams, "variation")


def rows(count, **changes):
    return draw(count, variation(**changes), np.random.default_rng(0)).to_dict("records")


def disc():
    """A bright disc off the centre, (64, 64, 1), and its mask."""
    y, x = np.mgrid[:64, :64]
    mask = ((x - 24) ** 2 + (y - 36) ** 2 < 90).astype(np.uint8)
    return mask[..., None] * np.uint8(200), mask


def test_no_variation_leaves_both_as_they_are():
    image, mask = disc()
    varied, warped = vary_pair(image, mask, rows(1)[0])
    np.testing.assert_array_equal(varied, image)
    np.testing.assert_array_equal(warped, mask)


def test_a_mask_goes_where_its_image_goes():
    image, mask = disc()
    moved = 0
    for row in rows(30, rotation_deg=40, zoom=0.3, shift=0.2, horizontal_flip=True, vertical_flip=True):
        varied, warped = vary_pair(image, mask, row)
        # Half of what the disc is filled with; a pixel that is just about half covered may round either way.
        assert np.count_nonzero(warped != (varied[..., 0] >= 100)) <= 1
        assert set(np.unique(warped)) <= {0, 1}
        moved += not np.array_equal(warped, mask)
    assert moved == 30


def test_brightness_leaves_the_mask_alone():
    image, mask = disc()
    for row in rows(5, brightness=0.5):
        varied, warped = vary_pair(image, mask, row)
        assert varied.max() != 200
        np.testing.assert_array_equal(warped, mask)


def test_a_flip_is_exact():
    image, mask = disc()
    flipped = next(row for row in rows(20, horizontal_flip=True) if row["horizontal_flip"])
    varied, warped = vary_pair(image, mask, flipped)
    np.testing.assert_array_equal(varied, image[:, ::-1])
    np.testing.assert_array_equal(warped, mask[:, ::-1])


@pytest.mark.slow
def test_batches_are_the_masked_rows_in_0_to_1(processed):
    split = read_split(processed / "train")
    chosen = split.index["mask_row"].to_numpy() >= 0
    batches = PairBatches(masked(split), 5)
    batches.shuffle(3)
    images, masks = (np.concatenate(parts) for parts in zip(*(batches[at] for at in range(len(batches))), strict=True))
    assert len(images) == chosen.sum() == len(batches.rows)
    assert len(images) % 5  # the last batch is smaller
    np.testing.assert_allclose(images, split.images[chosen] / 255, rtol=1e-6)
    np.testing.assert_array_equal(masks[..., 0], split.masks[split.index["mask_row"][chosen]])
    assert images.dtype == masks.dtype == np.float32


@pytest.mark.slow
def test_variants_depend_on_seed_and_epoch_alone(processed):
    split, ranges = read_split(processed / "train"), variation(rotation_deg=20, brightness=0.2)

    def first(seed, epoch, earlier=()):
        batches = PairBatches(masked(split), 4, seed, ranges)
        for number in (*earlier, epoch):
            batches.shuffle(number)
        return batches[0]

    images, masks = first(0, 2)
    again = first(0, 2, earlier=(0, 1))
    np.testing.assert_array_equal(images, again[0])
    np.testing.assert_array_equal(masks, again[1])
    assert not np.array_equal(images, first(0, 3)[0])
    assert not np.array_equal(images, first(1, 2)[0])


@pytest.mark.slow
def test_a_batch_can_be_made_again_from_its_rows(processed):
    split, ranges = read_split(processed / "train"), variation(rotation_deg=20, brightness=0.2)
    batches = PairBatches(masked(split), 4, 0, ranges)
    batches.shuffle(1)
    first = batches.order[0]
    expected = vary(batches.rows[first].image(), batches.drawn[first])
    np.testing.assert_allclose(batches[0][0][0], expected / 255, rtol=1e-6)


@pytest.fixture
def mixed():
    """Four masked rows, and of six without a mask four that are labelled as free of tumour; an image shows its row."""
    index = pd.DataFrame({"mask_row": [0, -1, 1, -1, -1, 2, -1, -1, -1, 3], "label": ["", *["notumor"] * 2] * 3 + [""]})
    images = np.full((10, 8, 8, 1), np.arange(10)[:, None, None, None], np.uint8)
    return Split(index.assign(unit=0), images, np.ones((4, 8, 8), np.uint8))


def joined(split, joining):
    return PairBatches(masked(split), 3, 0, others=clear(split), joining=joining)


def numbers(batches):
    """Return which rows the batches of one epoch show, and whether each has a mask that is not empty."""
    images, masks = (np.concatenate(parts) for parts in zip(*(batches[at] for at in range(len(batches))), strict=True))
    return np.rint(images[:, 0, 0, 0] * 255).astype(int), masks.any(axis=(1, 2, 3))


def test_images_without_tumour_join_with_an_empty_mask(mixed):
    shown, filled = numbers(joined(mixed, 2))
    np.testing.assert_array_equal(np.sort(shown[filled]), [0, 2, 5, 9])
    assert len(shown[~filled]) == 2
    assert set(shown[~filled]) <= {1, 4, 7, 8}  # row 2 has a mask of its own, rows 3 and 6 no label


def test_they_are_drawn_anew_each_epoch_by_its_number_alone(mixed):
    seen = []
    for epoch in range(8):
        batches = joined(mixed, 2)
        batches.shuffle(0)
        batches.shuffle(epoch)
        seen.append(np.concatenate(numbers(batches)))
        fresh = joined(mixed, 2)
        fresh.shuffle(epoch)
        np.testing.assert_array_equal(np.concatenate(numbers(fresh)), seen[-1])
    assert {row for epoch in seen for row in epoch[:6]} == {0, 1, 2, 4, 5, 7, 8, 9}


def test_no_more_join_than_there_are(mixed):
    assert len(joined(mixed, 20).rows) == 8


def test_without_any_the_order_is_as_it_was(mixed):
    with_none, without = joined(mixed, 0), PairBatches(masked(mixed), 3, 0)
    for batches in (with_none, without):
        batches.shuffle(2)
    np.testing.assert_array_equal(numbers(with_none)[0], numbers(without)[0])
    np.testing.assert_array_equal(np.sort(numbers(without)[0]), [0, 2, 5, 9])


def ten_each(split, units):
    """Return ten pairs a unit."""
    return [Pair(split, 0, 0, at // 10) for at in range(10 * units)]


def test_folds_deal_out_whole_units_in_turn(mixed):
    parts = folds(ten_each(mixed, 7), 3)
    assert [sorted({pair.unit for pair in checked}) for _, checked in parts] == [[0, 3, 6], [1, 4], [2, 5]]
    for learnt, checked in parts:
        assert len(learnt) + len(checked) == 70
        assert not {pair.unit for pair in learnt} & {pair.unit for pair in checked}


def test_more_folds_than_units_are_refused(mixed):
    with pytest.raises(
        InputError, match=r"train_unet.folds: .* patients or groups of look-alikes with a mask, 2, received 3"
    ):
        folds(ten_each(mixed, 2), 3)


def test_a_pair_is_of_the_unit_of_its_row(mixed):
    numbered = Split(mixed.index.assign(unit=np.arange(10) // 4, number=np.arange(10)), mixed.images, mixed.masks)
    assert [pair.unit for pair in masked(numbered)] == [0, 0, 1, 2]
    (learnt, checked), _ = folds(masked(numbered), 2)
    assert [pair.unit for pair in checked] == [0, 0, 2]
    assert [pair.unit for pair in learnt] == [1]  # next in number to those checked on, and of another unit
