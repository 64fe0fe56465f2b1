"""The built-in examples are what they are called, the same each time, and lie where they say."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from app.examples import EXAMPLES, example_slice, example_volume
from brainmri.core.labels import CLASSES
from brainmri.phantom import simulated_set
from brainmri.phantom.scanner import PLANES
from brainmri.prediction.inputs import read_one
from brainmri.prediction.volume_masks import measure

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_each_is_a_scan_called_by_its_class_and_plane():
    assert {name.split(",")[0] for name in EXAMPLES} == set(CLASSES)
    for name, make in EXAMPLES.items():
        file, data = make()
        assert name.split(",")[0] in file
        scan = read_one((file, data))
        assert scan.kind == ("volume" if "whole head" in name else "image")
        assert np.ptp(scan.levels) > 50
        if scan.kind == "image" and "hard" not in name:
            assert any(plane in name and plane in file for plane in PLANES)


def test_they_are_the_same_each_time():
    for make in (example_slice, example_volume):
        args = (1, 0) if make is example_slice else (1,)
        assert make.__wrapped__(*args) == make.__wrapped__(*args)


def test_an_example_has_a_larger_lesion_than_a_hard_one():
    """By the outline that the truth would have, whatever any model says of the two."""
    found = [read_one(example_slice(0, 0, hard)) for hard in (False, True)]
    bright = [(scan.levels > 0.8 * scan.levels.max()).sum() / (scan.levels > 20).sum() for scan in found]
    assert found[0].name != found[1].name
    assert bright[0] > bright[1]


def test_the_model_of_the_last_run_is_right_and_sure_of_each_but_the_hard_one():
    from brainmri.prediction.answer import answer
    from brainmri.prediction.trained_models import load_models

    models = [ROOT / f"models/{name}" for name in ("classifier", "unet")]
    same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "dvc.lock", "params.yaml"], cwd=ROOT, check=False)
    if same.returncode or not all((folder / "model.keras").exists() for folder in models):
        pytest.skip("the models of a run of the committed params are needed; `dvc repro` or `dvc pull` brings them")
    trained = load_models(*models)
    for name, make in EXAMPLES.items():
        found = answer(make(), trained)
        if "hard" not in name:
            assert (found.label, found.abstain) == (name.split(",")[0], False), name
            assert bool(found.mask.any()) == (found.label != "notumor"), name


def test_a_volume_lies_where_the_head_does():
    """What is bright in the volume lies, by its affine, in the simulated tumour."""
    from brainmri.phantom import anatomy, lesions

    scan = read_one(example_volume(1))
    rng = np.random.default_rng([2026, 1])
    head = anatomy.draw_anatomy(rng)
    lesion = lesions.draw_lesion(rng, CLASSES[1], head)
    patient = simulated_set.Patient("", "test", CLASSES[1], head, lesion, np.empty((0, 3)), 160, 0)
    grid = np.stack(np.meshgrid(*(np.arange(side) for side in scan.levels.shape), indexing="ij"), -1)
    places = (grid @ scan.volume.affine[:3, :3].T + scan.volume.affine[:3, 3]).astype(np.float32)
    truth = simulated_set.look(patient, places)[1]
    assert measure(truth, scan.volume.affine).volume_ml > 2
    assert scan.levels[truth].mean() > 1.5 * scan.levels[scan.levels > 20].mean()
