"""Names tell masks from images; whatever is in doubt is no image."""

from pathlib import Path

import pytest

from brainmri.core.errors import InputError
from brainmri.core.mask_names import masks_beside, paired


@pytest.mark.parametrize(
    "mask",
    ["x_mask.png", "x-Mask.bmp", "x mask.png", "x.mask.png", "x_masks.tif", "x_seg.png", "x_segmentation.png",
     "x_label.png", "x_gt.png", "x_ground_truth.png", "x_tumor_mask.png", "x_mask_1.png", "x_mask2.png",
     "x_mask (1).png", "X_MASK.PNG"],
)  # fmt: skip
def test_a_picture_with_a_word_for_masks_after_its_name_is_its_mask(mask):
    assert masks_beside(["a/x.jpg", f"a/{mask}", "b/x.jpg", "a/xy.jpg"]) == {f"a/{mask}": ["a/x.jpg"]}


@pytest.mark.parametrize("name", ["x.png", "xmask.png", "image(1).jpg", "masked_x.png", "x_unmasked.png", "x_mask.txt"])
def test_other_names_are_of_images(name):
    assert masks_beside(["x.jpg", name]) == {}


@pytest.mark.parametrize(
    ("mask", "images"),
    [
        ("p1_seg.nii.gz", ["p1_t1.nii.gz", "p1_t2.nii", "p1.nii"]),
        ("p1-seg.nii", ["p1_t1.nii.gz", "p1_t2.nii", "p1.nii"]),
        ("p1_t1_seg.nii", ["p1_t1.nii.gz"]),
        ("p11_seg.nii", ["p11-t1.nii"]),
        ("seg.nii.gz", ["p1_t1.nii.gz", "p1_t2.nii", "p1.nii", "p11-t1.nii"]),
        ("p2_seg.nii", []),
        ("p1_t1_brain_mask.nii.gz", []),
        ("brain_mask.nii.gz", []),
    ],
)
def test_a_nifti_mask_is_that_of_every_volume_that_begins_so(mask, images):
    volumes = ["c/p1_t1.nii.gz", "c/p1_t2.nii", "c/p1.nii", "c/p11-t1.nii", "d/p1_t1.nii", "c/p1_t1.png"]
    assert masks_beside([*volumes, f"c/{mask}"]) == {f"c/{mask}": [f"c/{name}" for name in images]}


def test_the_word_may_stand_before_the_name_of_an_image():
    names = ["x.png", "mask_x.png", "label_y.png", "p_t1.nii", "seg-p_t1.nii"]
    assert masks_beside(names) == {"mask_x.png": ["x.png"], "seg-p_t1.nii": ["p_t1.nii"]}


def test_files_in_a_folder_of_masks_are_masks_of_nothing_beside_them():
    assert masks_beside(["a/images/1.nii", "a/masks/1.nii"]) == {"a/masks/1.nii": []}


def test_a_brain_mask_is_refused_by_name():
    with pytest.raises(InputError, match=r"set.zip: t1_brain_mask.nii is named as a mask, and no image beside it"):
        paired(Path("set.zip"), ["t1_brain.nii", "t1_brain_mask.nii"])


def test_ten_thousand_names_take_no_time():
    names = [f"c/p{at}_{kind}.nii" for at in range(5000) for kind in ("t1", "seg")]
    assert len(paired(Path("set.zip"), names)) == 5000
