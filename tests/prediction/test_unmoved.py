"""What the networks see of a scan does not move under frames, labels, padding, extreme values and other bit depths.

How the trained networks' answers hold is in docs/your-own-images.md, by `python -m benchmarks.unmoved`.
"""

import cv2
import numpy as np
import pytest

from benchmarks.unmoved import DISTURBANCES
from brainmri.core.params import check
from brainmri.phantom.simulated_set import PhantomParams, simulate
from brainmri.prediction.answer import prepared
from brainmri.prediction.inputs import read_one
from brainmri.preprocessing.image_params import ImageParams

PARAMS = ImageParams(size=128, fit="pad", window_source="percentile", windows=[[1, 99], [1, 75], [50, 99.8]])


@pytest.fixture(scope="module")
def slices():
    few = {"seed": 7, "patients": {"train": 4, "test": 4}, "slices": 3, "size": [208, 256], "jpeg_quality": [70, 95]}
    images = [image for image in simulate(check(few | {"twins": 0}, PhantomParams, "phantom")) if image.split == "test"]
    return [cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_GRAYSCALE) for image in images]


@pytest.mark.parametrize("name", DISTURBANCES)
def test_the_windows_of_a_scan_do_not_move(slices, name):
    moved = []
    for scan in slices:
        plain, disturbed = (prepared(read_one(file), PARAMS)[0][0] for file in DISTURBANCES[name](scan))
        difference = np.abs(plain.astype(int) - disturbed)[10:-10, 10:-10]  # neither frame nor label
        moved.append(difference.mean())
    # Mean difference in levels: JPEG's noise on a dark scan is 3, a label that covers tissue up to 9; with the frame or
    # the label for the head it is 17 to 60 over all slices.
    assert np.median(moved) < 4
    assert max(moved) < 10
