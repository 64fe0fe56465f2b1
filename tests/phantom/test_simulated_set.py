import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
import yaml

from brainmri.core.errors import ParamsError
from brainmri.core.labels import CLASSES
from brainmri.core.params import check
from brainmri.phantom import simulated_set
from brainmri.phantom.simulated_set import PhantomParams

VALUES = {
    "seed": 3,
    "patients": {"train": 8, "test": 4},
    "slices": 6,
    "size": [160, 200],
    "jpeg_quality": [70, 95],
    "twins": 4,
}


def params(**changes):
    return check(VALUES | changes, PhantomParams, "test")


@pytest.fixture(scope="module")
def images():
    return list(simulated_set.simulate(params()))


def test_the_number_of_images_is_known_before(images):
    assert params().images() == len(images) == 12 * 6 + 4


def decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def thumbnails(images, mirrored=False):
    small = [cv2.resize(decode(i.data), (32, 32), interpolation=cv2.INTER_AREA).astype(float) for i in images]
    flat = np.stack([s[:, ::-1].ravel() if mirrored else s.ravel() for s in small])
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def pairs_above(images, threshold):
    """Return the pairs of file names, sorted, whose thumbnails agree as they are or mirrored."""
    straight, mirrored = thumbnails(images), thumbnails(images, mirrored=True)
    likeness = np.maximum(straight @ straight.T, straight @ mirrored.T)
    names = [PurePosixPath(image.path).name for image in images]
    return {
        tuple(sorted((names[a], names[b]))) for a, b in np.argwhere(np.triu(likeness, 1) > threshold)
    }  # fmt: skip


def original_of(path):
    """Return the name of the image that a planted twin was copied from; None for any other."""
    name = PurePosixPath(path).name
    return name.replace("_twin", "") if "_twin" in name else None


def planted(images):
    names = [PurePosixPath(image.path).name for image in images]
    return {tuple(sorted((name, original_of(name)))) for name in names if original_of(name)}


def test_counts_classes_planes_and_splits(images):
    originals = [image for image in images if original_of(image.path) is None]
    assert len(originals) == 12 * 6
    assert len(images) == len(originals) + 4
    assert Counter((image.split, image.label) for image in originals) == {
        **{("train", label): 12 for label in CLASSES},
        **{("test", label): 6 for label in CLASSES},
    }
    planes = Counter((image.patient, image.plane) for image in originals)
    assert set(planes.values()) == {2}
    assert len({image.path for image in images}) == len(images)
    assert not {i.patient for i in images if i.split == "train"} & {i.patient for i in images if i.split == "test"}


def test_files_are_grey_jpeg_and_exact_masks(images):
    for image in images:
        pixels, mask = decode(image.data), decode(image.mask_data)
        assert image.data[:2] == b"\xff\xd8"
        assert pixels.ndim == 2
        assert pixels.shape == mask.shape
        assert set(np.unique(mask)) <= {0, 255}
        assert 190 < image.voxel_mm[0] * len(pixels) < 250
        assert (mask.max() == 255) == (image.label != "notumor"), f"{image.path}: a tumour is missed, or out of nothing"
        assert image.path.split("/")[1] == image.label


def test_tumours_stand_out_from_their_surroundings(images):
    for image in images:
        mask = decode(image.mask_data) > 0
        if not mask.any():
            continue
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((13, 13), np.uint8)).astype(bool) & ~mask
        pixels = decode(image.data).astype(float)
        assert np.percentile(pixels[mask], 90) > 1.15 * pixels[ring].mean(), image.path


def test_exactly_the_planted_twins_look_alike(images):
    assert len(planted(images)) == 4
    assert pairs_above(images, 0.98) == planted(images)


def test_twins_keep_the_label_and_lie_within_and_across_splits(images):
    by_name = {PurePosixPath(image.path).name: image for image in images}
    homes = Counter()
    for name, copy in by_name.items():
        if original := by_name.get(original_of(name) or ""):
            assert copy.label == original.label
            assert copy.data != original.data
            assert copy.patient != original.patient
            homes[original.split, copy.split] += 1
    assert homes == {("train", "test"): 2, ("train", "train"): 1, ("test", "test"): 1}


def test_equal_params_give_equal_bytes_and_another_seed_does_not(images):
    def digest(several):
        return hashlib.sha256(b"".join(image.data + image.mask_data for image in several)).hexdigest()

    small = params(patients={"train": 4, "test": 4}, twins=0, slices=3)
    assert digest(simulated_set.simulate(small)) == digest(simulated_set.simulate(small))
    other = params(patients={"train": 4, "test": 4}, twins=0, slices=3, seed=4)
    assert digest(simulated_set.simulate(small)) != digest(simulated_set.simulate(other))


def test_more_patients_leave_the_others_as_they_are(images):
    fewer = {i.path: i.data for i in simulated_set.simulate(params(patients={"train": 4, "test": 4}, twins=0))}
    both = {image.path: image.data for image in images if image.path in fewer}
    assert len(both) == len(fewer) == 48
    assert both == fewer


def test_volume_agrees_with_the_lesion():
    rng = np.random.default_rng(2)
    patient = simulated_set.draw_patient(rng, params(), "train", 1)
    ball = replace(patient.lesion, kind="pituitary", axes=np.eye(3), rough=0.0, radius_mm=15.0)
    image, mask, affine = simulated_set.volume(replace(patient, lesion=ball), 3.0)
    assert image.shape == mask.shape
    assert mask.sum() * 27 == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.05)
    centre = affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]
    assert np.allclose(centre, ball.centre_mm, atol=1)
    assert image[mask > 0].mean() > 1.3 * image[image > 0.3].mean()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": [256, 208]}, r"size should be a range \[low, high\] with low <= high, received \[256, 208\]"),
        ({"slices": 4}, r"slices should be a multiple of 3, received 4"),
        ({"jpeg_quality": [0, 90]}, r"jpeg_quality\.0 should be greater than or equal to 30, received 0"),
        ({"patients": {"train": 8, "test": 1}}, r"patients\.test should be greater than or equal to 4"),
        ({"twins": 5}, r"twins at most the patients of either split \(twins is 5\)"),
        ({"sizes": [1, 2]}, r"sizes is not a known key \(did you mean size\?\)"),
    ],
)
def test_rules_of_the_section(changes, sentence):
    with pytest.raises(ParamsError, match=sentence):
        params(**changes)


@pytest.mark.slow
def test_default_set_defeats_a_nearest_neighbour_on_thumbnails():
    section = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())["fetch"]["phantom"]
    images = list(simulated_set.simulate(check(section, PhantomParams, "default")))
    assert pairs_above(images, 0.98) == planted(images)
    originals = [image for image in images if original_of(image.path) is None]
    train, test = ([image for image in originals if image.split == split] for split in ("train", "test"))
    assert (len(train), len(test)) == (576, 288)
    assert sum(image.split == "train" for image in images) <= 600
    nearest = (thumbnails(test) @ thumbnails(train).T).argmax(axis=1)
    hits = [train[near].label == image.label for near, image in zip(nearest, test, strict=True)]
    assert np.mean(hits) < 0.60
