"""The runs of a cross-validation, pooled from what git keeps of them."""

import hashlib
import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from revision_files import NAMES, commit, run, sh, write

from brainmri.core.errors import ArtifactError, InputError
from brainmri.project import cross_validation
from brainmri.scoring.records import COLUMNS

FILES = {"preprocess": "exclude.csv", "train": "stages/train.py", "segment": "stages/segment.py"}  # by stage: a dep
PREPROCESS = {"split": "patient", "folds": 3, "seed": 0}
SEGMENT = {"size_bounds_px": [5, 20]}


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


def outlines(first, masks=True):
    """Return the rows of a fold's outlines: Dice 0.25 and 0.75, one unit an image; or of images without masks."""
    known = {"image_id": [f"i{first}", f"i{first + 1}"], "label": "glioma", "unit": [first, first + 1], "area_px": 9}
    table = pd.DataFrame({**known, "training_twin": False, "method": "unet"}).reindex(columns=[*COLUMNS, "method"])
    if masks:
        table = table.assign(truth_px=10, dice=[0.25, 0.75], one_empty=0, native_one_empty=0)
    return table.to_csv(index=False)


def fold(project, at, changes=(), table=None, images="", seen=0, masks=True, **files):
    """Commit the run of a fold under the tag `fold-<at>`: of a set with `images`, and a text for each of `FILES`."""
    preprocess = {**PREPROCESS, "fold": at, **dict(changes)}
    table = predictions(at, wrong=[0]) if table is None else table
    params = {"preprocess": preprocess, "segment": SEGMENT}
    content = {"i": images} if images else None
    run(project, params=params, table=table, content=content, outlined=outlines(8 * at, masks))
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
    assert found["metrics"]["classify"]["whole"]["accuracy"] == pytest.approx(23 / 24)
    assert found["test_patients"] == {"known": 12, "images_without": 0, "seen_in_training": 0}
    written = json.loads((project / "pooled/scores.json").read_text())
    assert written["metrics"]["classify"]["by_fold"]["runs"]["0"]["accuracy"] == 7 / 8
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


def test_outlines_are_pooled_with_the_answers(project):
    names = [fold(project, at) for at in range(3)]
    found = pool(project, names)["metrics"]["segment"]["unet"]
    assert (found["images_with_tumour_mask"], found["all"]["dice"]["mean"]) == (6, 0.5)
    assert found["by_fold"]["sd"]["dice"] == 0
    assert list(found["by_size"]) == ["medium"]
    rows = pd.read_csv(project / "pooled/outlines.csv")
    assert rows["image_id"].tolist() == ["i0", "i1", "i8", "i9", "i16", "i17"]
    assert rows["fold"].tolist() == [0, 0, 1, 1, 2, 2]


def test_outlines_are_left_out_with_the_reason(project):
    found = pool(project, [fold(project, 0), fold(project, 1, segment="other"), fold(project, 2)])
    assert found["folds"] == 3  # no answer comes from this code
    assert found["metrics"]["segment"] == {}
    assert "received others of stages/segment.py; run" in found["without_outlines"]
    assert not (project / "pooled/outlines.csv").exists()
    assert found["commit"] == ""  # of which to repeat it


def test_a_set_without_masks_says_so(project):
    found = pool(project, [fold(project, at, masks=False) for at in range(3)])
    assert found["without_outlines"] == "no test image has a mask with a tumour"
    assert cross_validation.as_text(found).endswith("outlines are not pooled: no test image has a mask with a tumour")


def test_the_folds_say_how_they_were_come_by(project):
    names = [fold(project, at) for at in range(3)]
    found = pool(project, names)
    assert found["runs"] == names
    assert found["commit"] == sh(project, "git", "rev-parse", "fold-0")  # the last commit that all runs hold
    assert found["params"] == {"preprocess": PREPROCESS, "segment": SEGMENT}  # without the fold


def test_probes_are_pooled(project):
    names = []
    for at in range(3):
        scores = {"accuracy": at / 4, "images": 8}
        write(project, "metrics/probe.json", json.dumps({"metadata": {"whole": scores}}))
        names.append(fold(project, at))
    assert pool(project, names)["metrics"]["probe"] == {"metadata": {"whole": {"accuracy": 0.25, "images": 24}}}


def test_a_run_without_predictions_is_refused(project):
    names = [fold(project, at) for at in range(2)]
    run(project, params={"segment": SEGMENT, "preprocess": {**PREPROCESS, "fold": 2}}, table=predictions(2))
    (project / "plots/predictions.csv").unlink()
    commit(project, "fold-2")
    with pytest.raises(ArtifactError, match=r"fold-2: plots/predictions.csv: no such file"):
        pool(project, [*names, "fold-2"])


def test_a_run_that_does_not_say_who_was_learnt_from_is_refused(project):
    names = [fold(project, at) for at in range(2)]
    run(project, params={"segment": SEGMENT, "preprocess": {**PREPROCESS, "fold": 2}}, table=predictions(2))
    commit(project, "fold-2")
    with pytest.raises(ArtifactError, match=r"fold-2: metrics/data.json should hold patients.test.seen_in_training"):
        pool(project, [*names, "fold-2"])


def test_a_fold_that_was_named_but_not_run_is_refused(project):
    names = [fold(project, at) for at in range(3)]
    ran, stands = ({"segment": SEGMENT, "preprocess": {**PREPROCESS, "fold": at}} for at in (2, 1))
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
