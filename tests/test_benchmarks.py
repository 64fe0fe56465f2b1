"""The benchmarks run, on few images; what they measure is in benchmarks/RESULTS.md."""

import argparse
import re

import nibabel
import numpy as np
import pytest
from conftest import PARAMS
from handmade import handmade

from benchmarks import bench_augment, bench_kmeans, bench_predict, bench_preprocess, nonheads, unlike, volumes
from benchmarks.common import images
from brainmri.models.classifier import load_classifier
from brainmri.prediction.trained_models import load_models

pytestmark = [
    pytest.mark.slow,
    # Keras's legacy generator, the other side of a comparison, imports SciPy by an old name
    pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning"),
]
FEW = argparse.Namespace(raw=None, images=48, rounds=1, torch_python=None)


@pytest.mark.parametrize("bench", [bench_augment, bench_kmeans, bench_predict])
def test_every_side_is_measured(bench, monkeypatch):
    monkeypatch.setattr(bench_kmeans, "MOST", 2)
    rows = [line for line in bench.run(FEW).splitlines() if re.match(r"\| (?!---|side|k )", line)]
    assert len(rows) >= 3
    assert all(re.search(r"\d+\.\d+ \(\d", line) or "skipped" in line for line in rows)


def test_preprocessing_beside_bare_decoding():
    files = [image.data for image in images(FEW)][:20]
    rows = bench_preprocess.speed(files, "few", 1)
    assert [row[1] for row in rows] == list(bench_preprocess.SIDES)
    ours, bare = (float(row[3].split()[0]) for row in rows[:2])
    assert ours > bare == 1


def test_volumes_have_a_row_each(tmp_path):
    models = load_models(handmade(tmp_path) / "classifier", tmp_path / "unet", PARAMS)
    found = volumes.run(volumes.simulated(1, models, "unet"), "unet")
    assert re.findall(r"^\| 0, axial \| (\w+) \|", found, re.MULTILINE) == ["glioma"]
    assert re.search(r"^unet: \d of 1 classes right, \d answered; mean Dice of 1 lesions 0\.\d+ ", found, re.MULTILINE)


def test_real_volumes_are_held_against_the_masks_beside_them(tmp_path):
    models = load_models(handmade(tmp_path) / "classifier", tmp_path / "unet", PARAMS)
    _, scan, mask, affine = volumes.volume(0)
    (tmp_path / "scans/one").mkdir(parents=True)
    for name, voxels in (("Pre_Scan_T1", scan), ("Pre_Mask", mask.astype(np.uint8))):
        nibabel.save(nibabel.Nifti1Image(voxels, affine), tmp_path / f"scans/one/{name}.nii.gz")
    (case,) = volumes.real(tmp_path / "scans", "glioma", models, "unet")
    assert (case.name, case.label) == ("one, Pre", "glioma")
    assert case.truth.sum() == mask.sum()
    assert case.found.mask.shape == case.truth.shape


def test_pictures_without_a_head_are_drawn_alike_each_time_and_counted(classifier, processed):
    drawn, again = (nonheads.drawn(2) for _ in range(2))
    for name, (one, other) in drawn.items():
        np.testing.assert_array_equal(one, again[name][0])
        assert one.shape[:2] == (256, 256)
        assert (one != other).any() if one.shape == other.shape else True
    old = unlike.dataclasses.replace(load_classifier(classifier), likeness=None)
    lines = unlike.run(unlike.measured(old, processed), processed, None, 1).splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [
        *(nonheads.KINDS), "all without a head", "test images",
    ]  # fmt: skip
    for line in lines[2:]:
        of, *_ = counts = [int(cell) for cell in line.split(" | ")[1:7]]
        headless, unlike_, _, unsure_alone, answered = counts[1:]
        assert headless + unlike_ + unsure_alone + answered == of
