"""The preprocess stage on the generated set."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri import manifest
from brainmri.errors import InputError
from brainmri.index import COLUMNS, read_split
from brainmri.params import check
from stages import preprocess


def params(**changes):
    return check(tiny_params(preprocess=changes)["preprocess"], preprocess.Params, "preprocess")


def summary(out):
    return json.loads((out / "summary/summary.json").read_text())


def test_every_image_is_in_one_split_or_counted(raw, processed):
    ids = [read_split(processed / name).index["image_id"] for name in ("train", "val", "test")]
    joined = pd.concat(ids)
    stored = manifest.read_manifest(raw)["image_id"]
    dropped = sum(summary(processed)["images"]["dropped"].values())
    assert joined.is_unique
    assert set(joined) <= set(stored)
    assert len(joined) + dropped == len(stored) == 64


def test_arrays_masks_and_table_belong_together(processed):
    split = read_split(processed / "test")
    assert list(split.index.columns) == list(COLUMNS)
    assert split.images.shape == (16, 32, 32, 3)
    assert split.images.dtype == np.uint8
    for row in split.index.itertuples():
        mask = split.masks[row.mask_row].astype(bool)
        assert mask.any() == (row.label != "notumor")
        if mask.any():  # the spot is the brightest thing, in every window
            assert split.images[row.Index][mask].mean() > split.images[row.Index][~mask].mean() + 50


def test_the_planted_twin_is_found_and_its_training_copy_dropped(processed):
    found = summary(processed)
    assert found["twins"]["pairs"] == 1
    assert found["images"]["dropped"] == {"glioma": 1}
    assert found["twins"]["test_with_training_twin"] == {"glioma": 1}
    twins = pd.read_csv(processed / "summary/twins.csv")
    assert sorted([twins.at[0, "split_a"], twins.at[0, "split_b"]]) == ["test", "train"]
    index = read_split(processed / "test").index
    assert index["training_twin"].sum() == 1


def test_report_keeps_the_training_copy(raw, tmp_path):
    preprocess.run(params(duplicates="report"), raw, tmp_path / "out")
    found = summary(tmp_path / "out")
    assert "dropped" not in found["images"]
    assert found["twins"]["test_with_training_twin"] == {"glioma": 1}


def test_patients_are_not_divided(processed):
    patients = [set(read_split(processed / name).index["patient"]) for name in ("train", "val", "test")]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert not patients[1] & patients[2]


def test_two_runs_write_the_same_bytes(raw, processed, tmp_path):
    preprocess.run(params(), raw, tmp_path / "out")
    files = sorted(path.relative_to(processed) for path in processed.rglob("*") if path.is_file())
    assert len(files) >= 15
    for name in files:
        assert (tmp_path / "out" / name).read_bytes() == (processed / name).read_bytes(), name


def test_class_names_that_look_like_nothing_or_numbers_stay_text(raw, tmp_path):
    import shutil

    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    table["label"] = table["label"].map(
        dict(zip(sorted(set(table["label"])), ["1", "NA", "None", "null"], strict=True))
    )
    table.to_csv(copy / "manifest.csv", index=False)
    preprocess.run(params(), copy, tmp_path / "out")
    assert summary(tmp_path / "out")["classes"] == ["1", "NA", "None", "null"]
    assert set(read_split(tmp_path / "out/test").index["label"]) == {"1", "NA", "None", "null"}


def test_twins_are_told_of_images_whose_split_is_drawn_too(raw, tmp_path):
    import shutil

    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    table["split"] = table["split"].where(table["split"] == "test", "")
    table.to_csv(copy / "manifest.csv", index=False)
    preprocess.run(params(duplicates="report"), copy, tmp_path / "out")
    # The copy has no split of its own, so that it goes where its twin is: into test.
    assert summary(tmp_path / "out")["twins"]["test_with_training_twin"] == {}
    assert read_split(tmp_path / "out/test").index["label"].value_counts()["glioma"] > 4


@pytest.fixture
def with_bad_images(raw, tmp_path):
    """The stored set with two rows whose bytes are no images."""
    import shutil
    import zipfile

    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    with zipfile.ZipFile(copy / "bad.zip", "w") as archive:
        for at in (0, 5):
            archive.writestr(f"{table.at[at, 'set']}/{table.at[at, 'path']}", b"no image")
            table.loc[at, "shard"] = "bad.zip"
    table.to_csv(copy / "manifest.csv", index=False)
    return copy


def test_unreadable_images_are_named_and_counted(with_bad_images, tmp_path, capsys):
    preprocess.run(params(max_bad=0.05), with_bad_images, tmp_path / "out")
    bad = summary(tmp_path / "out")["unreadable"]
    ids = manifest.read_manifest(with_bad_images)["image_id"][[0, 5]].tolist()
    assert [row["image_id"] for row in bad] == ids
    assert f"image {ids[0]} left out: cannot be decoded: no known image format" in capsys.readouterr().err
    assert sum(sum(split.values()) for split in summary(tmp_path / "out")["images"].values()) == 62


def test_too_many_unreadable_images_stop_the_stage(with_bad_images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/earlier").touch()
    with pytest.raises(InputError, match=r"at most a share of 0.01 .* \(preprocess.max_bad\), received 2 of 64"):
        preprocess.run(params(max_bad=0.01), with_bad_images, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["earlier"]
