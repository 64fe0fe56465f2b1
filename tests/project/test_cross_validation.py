"""The runs of a cross-validation, pooled from what git keeps of them."""

import hashlib
import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from revision_files import NAMES, commit, run, write

from brainmri.core.errors import ArtifactError, InputError
from brainmri.project import cross_validation

FILES = {"preprocess": "exclude.csv", "train": "stages/train.py", "segment": "stages/segment.py"}  # by stage: a dep
PREPROCESS = {"split": "patient", "folds": 3, "seed": 0}


def predictions(fold, first=None, wrong=()):
    """Return the predictions of a fold: eight images, two a patient, alike in label."""
    first = 8 * fold if first is None else first
    lines = ["image_id,label,predicted,patient,unit,p_glioma,p_notumor"]
    for at in range(first, first + 8):
        label = NAMES[at // 2 % 2]
        answer = NAMES[1 - NAMES.index(label)] if at in wrong else label
        p = 0.9 if answer == "glioma" else 0.1
        lines.append(f"i{at},{label},{answer},p{at // 2},{at // 2},{p},{1 - p:.1f}")
    return "\n".join(lines) + "\n"


def fold(project, at, changes=(), table=None, images="", seen=0, **files):
    """Commit the run of a fold under the tag `fold-<at>`: of a set with `images`, and a text for each of `FILES`."""
    preprocess = {**PREPROCESS, "fold": at, **dict(changes)}
    table = predictions(at, wrong=[0]) if table is None else table
    run(project, params={"preprocess": preprocess}, table=table, content={"i": images} if images else None)
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    for stage, path in FILES.items():
        write(project, path, files.get(stage, "the same"))
        md5 = hashlib.md5((project / path).read_bytes(), usedforsecurity=False).hexdigest()
        lock["stages"][stage] = {"deps": [{"path": path, "md5": md5}, {"path": "data/processed/train", "md5": str(at)}]}
    write(project, "dvc.lock", yaml.safe_dump(lock))
    write(project, "metrics/data.json", json.dumps({"patients": {"test": {"seen_in_training": seen}}}))
    commit(project, f"fold-{at}")
    return f"fold-{at}"


@pytest.fixture
def project(small_repository, tmp_path):
    return shutil.copytree(small_repository, tmp_path / "project", symlinks=True)


def pool(project, names):
    return cross_validation.pool(project, names, 0, 100, project / "pooled")


def test_the_folds_are_scored_as_one_in_whichever_order_they_come(project):
    names = [fold(project, at) for at in range(3)]
    found = pool(project, names)
    table = pd.read_csv(project / "pooled/predictions.csv")
    assert table["image_id"].tolist() == [f"i{at}" for at in range(24)]
    assert table["fold"].tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert found["whole"]["accuracy"] == pytest.approx(23 / 24)
    assert found["test_patients"] == {"known": 12, "images_without": 0, "seen_in_training": 0}
    assert json.loads((project / "pooled/scores.json").read_text())["by_fold"]["runs"]["0"]["accuracy"] == 7 / 8
    first = [(project / "pooled" / name).read_bytes() for name in ("predictions.csv", "scores.json")]
    pool(project, names[::-1])
    assert [(project / "pooled" / name).read_bytes() for name in ("predictions.csv", "scores.json")] == first


def test_patients_seen_in_training_are_told(project):
    names = [fold(project, at, seen=at + 1) for at in range(3)]
    assert pool(project, names)["test_patients"]["seen_in_training"] == 6


def test_a_patient_tested_in_two_folds_is_refused(project):
    names = [fold(project, at) for at in range(2)]
    names.append(fold(project, 2, table=predictions(2).replace("p8", "p1")))
    with pytest.raises(InputError, match=r"each patient should be tested in one fold, .* such as patient p1"):
        pool(project, names)
    assert not (project / "pooled").exists()


def test_an_image_tested_in_two_folds_is_refused(project):
    names = [fold(project, at, table=predictions(at, first=4 * at)) for at in range(3)]
    with pytest.raises(InputError, match=r"each image should be tested in one fold, received 8 again"):
        pool(project, names)


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        ([0, 1], {}, r"each fold of \[0, 1, 2\] should be given once, received \[0, 1\]"),
        ([0, 1, 1], {}, r"received \[0, 1, 1\]"),
        ([0, 1, 2], {"seed": 1}, r"runs should differ in preprocess.fold alone, received others in preprocess.seed"),
        ([0, 1, 2], {"split": "source"}, r"every run should be split by patient"),
    ],
)
def test_runs_that_are_no_cross_validation_are_refused(project, given, changes, message):
    for at in range(3):
        fold(project, at, changes if at == 1 else ())
    with pytest.raises(InputError, match=message):
        pool(project, [f"fold-{at}" for at in given])


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"images": "another"}, "data/raw"),
        ({"preprocess": "i9,bad"}, "exclude.csv"),
        ({"train": "2"}, "stages/train.py"),
    ],
)
def test_runs_of_other_images_exclusions_or_code_are_refused(project, other, named):
    names = [fold(project, 0), fold(project, 1, **other), fold(project, 2)]
    with pytest.raises(InputError, match=f"same data, exclude.csv and code, received others of {named}; run"):
        pool(project, names)


def test_code_that_no_prediction_comes_from_may_differ(project):
    assert pool(project, [fold(project, 0), fold(project, 1, segment="other"), fold(project, 2)])["folds"] == 3


def test_a_run_without_predictions_is_refused(project):
    names = [fold(project, at) for at in range(2)]
    run(project, params={"preprocess": {**PREPROCESS, "fold": 2}}, table=predictions(2))
    (project / "plots/predictions.csv").unlink()
    commit(project, "fold-2")
    with pytest.raises(ArtifactError, match=r"fold-2: plots/predictions.csv: no such file"):
        pool(project, [*names, "fold-2"])


def test_a_run_that_does_not_say_who_was_learnt_from_is_refused(project):
    names = [fold(project, at) for at in range(2)]
    run(project, params={"preprocess": {**PREPROCESS, "fold": 2}}, table=predictions(2))
    commit(project, "fold-2")
    with pytest.raises(ArtifactError, match=r"fold-2: metrics/data.json should hold patients.test.seen_in_training"):
        pool(project, [*names, "fold-2"])


def test_a_fold_that_was_named_but_not_run_is_refused(project):
    names = [fold(project, at) for at in range(3)]
    ran, stands = ({"preprocess": {**PREPROCESS, "fold": at}} for at in (2, 1))
    run(project, params=stands, used=ran, table=predictions(1))
    write(project, "metrics/data.json", json.dumps({"patients": {"test": {"seen_in_training": 0}}}))
    commit(project, "changed")
    with pytest.raises(ArtifactError, match=r"changed: all should have run since a change of preprocess.fold"):
        pool(project, [names[0], "changed", names[2]])


@pytest.mark.slow
def test_the_command_says_what_the_folds_come_to(project):
    names = [fold(project, at) for at in range(3)]
    words = [sys.executable, "-m", "brainmri", "--root", str(project), "pool", *names, "--out", str(project / "pooled")]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[0] == "24 images of 12 units, 3 folds"
    assert printed[1].startswith("accuracy: 0.958 (")
    assert printed[3] == "patients tested: 12 known, 0 of them in training too; images without a known patient: 0"
