"""The preprocess stage on the generated set."""

import shutil
import zipfile

import cv2
import fake_dask
import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw_scan
from first_stages import fetched, params, summary

from brainmri.core import manifest
from brainmri.core.errors import ArtifactError, InputError, ParamsError
from brainmri.core.files import read_json, write_table
from brainmri.core.index import COLUMNS, read_split
from brainmri.core.shards import read_images
from brainmri.preprocessing import duplicates, known_patients, scans, splits
from brainmri.preprocessing.scans import read_scan
from stages import preprocess

NOBODY_SEEN = {"seen_in_training": 0, "seen_in_training_masked": 0}


def run(section, raw, out, excluded=()):
    """Run the stage with a file of excluded (image id, reason) beside `out`."""
    lines = [f"{image},{reason}\n" for image, reason in excluded]
    exclude = out.with_name("exclude.csv")
    exclude.write_text("image_id,reason\n" + "".join(lines))
    preprocess.run(section, raw, exclude, out)


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
    run(params(duplicates="report"), raw, tmp_path / "out")
    found = summary(tmp_path / "out")
    assert "dropped" not in found["images"]
    assert found["twins"]["test_with_training_twin"] == {"glioma": 1}


def test_patients_are_not_divided(processed):
    patients = [set(read_split(processed / name).index["patient"]) for name in ("train", "val", "test")]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert not patients[1] & patients[2]


def test_patients_of_recognised_images_are_told_and_not_divided(raw, tmp_path, monkeypatch):
    unnamed = tmp_path / "raw"
    shutil.copytree(raw, unnamed)
    table = manifest.read_manifest(unnamed)
    monkeypatch.setattr(known_patients, "read_table", lambda: known_slices(raw, table["patient"]))
    write_table(unnamed / "manifest.csv", table.assign(patient=""))
    run(params(duplicates="report"), unnamed, tmp_path / "out")
    index = pd.concat(read_split(tmp_path / "out" / name).index for name in ("train", "val", "test"))
    found = index.set_index("image_id")["patient"]
    assert (found == "known-" + table.set_index("image_id").loc[found.index, "patient"]).mean() > 0.9
    parts = [set(read_split(tmp_path / "out" / name).index["patient"]) - {""} for name in ("train", "val")]
    assert not parts[0] & parts[1]
    told = summary(tmp_path / "out")["patients"]
    assert sum(split["recognised"] for split in told.values()) == (found != "").sum()
    assert sum(split["images_without"] for split in told.values()) == (found == "").sum()
    run(params(duplicates="report", known_patients=False), unnamed, tmp_path / "off")
    assert {split["known"] for split in summary(tmp_path / "off")["patients"].values()} == {0}


def known_slices(raw, patients):
    """A table of known slices, of the images of a set as preprocess reads them."""
    rows = manifest.read_manifest(raw)
    small = np.stack(
        [duplicates.thumbnail(read_scan(data, None, params()).square) for _, data, _ in read_images(raw, rows)]
    )
    facts = pd.DataFrame({"number": range(len(rows)), "label": rows["label"], "patient": patients, "fold": 1})
    return known_patients.table_of(facts, small, "known-")


def test_the_summary_says_whose_images_are_in_each_split(raw, processed, tmp_path):
    found = summary(processed)["patients"]
    assert found["train"]["known"] + found["val"]["known"] == 24
    assert found["test"] == {"known": 8, "recognised": 0, "images_without": 0, **NOBODY_SEEN}
    copy = with_manifest(raw, tmp_path, lambda table: table["patient"].replace("p0001", ""))
    run(params(duplicates="report", known_patients=False), copy, tmp_path / "out")
    told = summary(tmp_path / "out")["patients"]
    assert told["test"] == {"known": 7, "recognised": 0, "images_without": 2, **NOBODY_SEEN}
    assert told["train"]["images_without"] == told["val"]["images_without"] == 0


def with_manifest(raw, tmp_path, patient):
    """Copy the stored set and give its images other patients."""
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    table.assign(patient=patient(table)).to_csv(copy / "manifest.csv", index=False)
    return copy


def test_a_test_patient_who_is_learnt_from_too_is_counted(raw, tmp_path):
    first = {"train": "train_glioma_4.png", "test": "test_pituitary_0.png"}
    copy = with_manifest(
        raw, tmp_path, lambda table: table["patient"].where(~table["path"].isin(first.values()), "both")
    )
    run(params(), copy, tmp_path / "out")
    assert summary(tmp_path / "out")["patients"]["test"] == {
        "known": 9,
        "recognised": 0,
        "images_without": 0,
        "seen_in_training": 1,
        "seen_in_training_masked": 1,
    }


def by_patient(raw, place, fold):
    run(params(split="patient", folds=4, fold=fold), raw, place / str(fold))
    return {name: read_split(place / str(fold) / name).index for name in ("train", "val", "test")}


@pytest.mark.slow
def test_by_patient_each_image_is_tested_in_one_fold_and_nobody_is_in_two_parts(raw, tmp_path):
    tested = []
    for fold in range(4):
        parts = by_patient(raw, tmp_path, fold)
        joined = pd.concat([index.assign(split=name) for name, index in parts.items()])
        assert sorted(joined["image_id"]) == sorted(manifest.read_manifest(raw)["image_id"])  # and none is dropped
        for key in ("patient", "group", "unit"):
            assert (joined.groupby(key)["split"].nunique() == 1).all()
        told = summary(tmp_path / str(fold))
        assert told["patients"]["test"]["seen_in_training"] == 0
        assert set(told["images"]["test"]) == set(told["classes"])
        assert told["twins"]["test_with_training_twin"] == {}
        tested += parts["test"]["image_id"].tolist()
    assert sorted(tested) == sorted(manifest.read_manifest(raw)["image_id"])


def test_a_fold_run_twice_has_the_same_bytes(raw, tmp_path):
    for place in (tmp_path / "one", tmp_path / "two"):
        place.mkdir()
        by_patient(raw, place, 1)
    for name in ("train", "val", "test", "summary"):
        for path in (tmp_path / "one/1" / name).iterdir():
            assert path.read_bytes() == (tmp_path / "two/1" / name / path.name).read_bytes(), path.name


def test_a_split_that_divides_a_patient_is_refused(raw, tmp_path, monkeypatch):
    drawn = splits.by_patient

    def divided(table, *args):
        split, unit = drawn(table, *args)
        split.loc[split.index[split == "train"][0]] = "test"
        return split, unit

    monkeypatch.setattr(splits, "by_patient", divided)
    with pytest.raises(
        ArtifactError, match=r"nobody should stand in two parts, received patient p\d{4} in test and train"
    ):
        by_patient(raw, tmp_path, 0)
    assert not (tmp_path / "0").exists()


def test_a_fold_that_there_is_not_is_refused():
    with pytest.raises(ParamsError, match="a fold below the number of folds, here 3"):
        params(split="patient", folds=3, fold=3)


def test_two_runs_write_the_same_bytes(raw, processed, tmp_path):
    run(params(), raw, tmp_path / "out")
    files = sorted(path.relative_to(processed) for path in processed.rglob("*") if path.is_file())
    assert len(files) >= 15
    for name in files:
        assert (tmp_path / "out" / name).read_bytes() == (processed / name).read_bytes(), name


def test_class_names_that_look_like_nothing_or_numbers_stay_text(raw, tmp_path):
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    table["label"] = table["label"].map(
        dict(zip(sorted(set(table["label"])), ["1", "NA", "None", "null"], strict=True))
    )
    table.to_csv(copy / "manifest.csv", index=False)
    run(params(), copy, tmp_path / "out")
    assert summary(tmp_path / "out")["classes"] == ["1", "NA", "None", "null"]
    assert set(read_split(tmp_path / "out/test").index["label"]) == {"1", "NA", "None", "null"}


def test_twins_are_told_of_images_whose_split_is_drawn_too(raw, tmp_path):
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    table["split"] = table["split"].where(table["split"] == "test", "")
    table.to_csv(copy / "manifest.csv", index=False)
    run(params(duplicates="report"), copy, tmp_path / "out")
    # The copy has no split of its own, so that it goes where its twin is: into test.
    assert summary(tmp_path / "out")["twins"]["test_with_training_twin"] == {}
    assert read_split(tmp_path / "out/test").index["label"].value_counts()["glioma"] > 4


@pytest.fixture
def with_bad_images(raw, tmp_path):
    """The stored set with two rows whose bytes are no images."""
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
    run(params(max_bad=0.05), with_bad_images, tmp_path / "out")
    bad = summary(tmp_path / "out")["unreadable"]
    ids = manifest.read_manifest(with_bad_images)["image_id"][[0, 5]].tolist()
    assert [row["image_id"] for row in bad] == ids
    assert f"image {ids[0]} left out: cannot be decoded: no known image format" in capsys.readouterr().err
    assert sum(sum(split.values()) for split in summary(tmp_path / "out")["images"].values()) == 62


def test_images_without_a_head_are_named(with_bad_images, tmp_path, capsys):
    table = manifest.read_manifest(with_bad_images)
    with zipfile.ZipFile(with_bad_images / "bad.zip", "w") as archive:
        for at, level in ((0, 0), (5, 255)):
            blank = cv2.imencode(".png", np.full((64, 64), level, np.uint8))[1].tobytes()
            archive.writestr(f"{table.at[at, 'set']}/{table.at[at, 'path']}", blank)
    run(params(), with_bad_images, tmp_path / "out")
    ids = table["image_id"][[0, 5]].tolist()
    assert summary(tmp_path / "out")["without_head"] == ids
    assert f"warning: image {ids[1]} shows no head: nothing but one level or noise" in capsys.readouterr().err


def test_too_many_unreadable_images_stop_the_stage(with_bad_images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/earlier").touch()
    with pytest.raises(InputError, match=r"at most a share of 0.01 .* \(preprocess.max_bad\), received 2 of 64"):
        run(params(max_bad=0.01), with_bad_images, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["earlier"]


def test_excluded_images_leave_every_split_and_move_no_other(raw, processed, tmp_path):
    gone = [read_split(processed / name).index["image_id"][1] for name in ("train", "val", "test")]
    run(params(), raw, tmp_path / "out", [(gone[0], "cut off"), (gone[1], "wrong label"), (gone[2], "wrong label")])
    for name in ("train", "val", "test"):
        before = read_split(processed / name).index["image_id"]
        after = read_split(tmp_path / "out" / name).index["image_id"]
        assert after.tolist() == before[~before.isin(gone)].tolist()
    found = summary(tmp_path / "out")
    assert sum(found["images"]["excluded"].values()) == 3
    assert {reason: sum(labels.values()) for reason, labels in found["excluded"].items()} == {
        "cut off": 1,
        "wrong label": 2,
    }


def test_an_excluded_test_image_keeps_no_copy_out_of_training(raw, processed, tmp_path):
    index = read_split(processed / "test").index
    run(params(), raw, tmp_path / "out", [(index["image_id"][index["training_twin"]].item(), "a copy")])
    assert "dropped" not in summary(tmp_path / "out")["images"]


def test_an_unreadable_image_that_is_excluded_stops_nothing(with_bad_images, tmp_path):
    ids = manifest.read_manifest(with_bad_images)["image_id"][[0, 5]]
    run(params(max_bad=0.01), with_bad_images, tmp_path / "out", [(name, "no image") for name in ids])
    assert sum(summary(tmp_path / "out")["excluded"]["no image"].values()) == 2


def test_an_unknown_id_is_refused_before_any_work(raw, tmp_path):
    with pytest.raises(InputError, match="received 1 that are not \\(unknown\\)"):
        run(params(), raw, tmp_path / "out", [("unknown", "why not")])
    assert not (tmp_path / "out").exists()


def test_neighbours_need_a_lower_similarity_than_twins():
    with pytest.raises(ParamsError, match=r"a neighbour_threshold up to the twin_threshold, here 0\.98"):
        params(neighbour_threshold=0.99)


def relabelled(raw, tmp_path):
    """Copy the stored set and give the planted training copy another label."""
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    table = manifest.read_manifest(copy)
    table.loc[table["path"] == "train_glioma_0.png", "label"] = "pituitary"
    table.to_csv(copy / "manifest.csv", index=False)
    return copy


def test_a_test_image_whose_twin_has_another_label_is_named(raw, tmp_path, capsys):
    run(params(), relabelled(raw, tmp_path), tmp_path / "out")
    conflicts = pd.read_csv(tmp_path / "out/summary/conflicts.csv")
    assert sorted(zip(conflicts["split"], conflicts["label"], strict=True)) == [
        ("dropped", "pituitary"),
        ("test", "glioma"),
    ]
    named = conflicts["image_id"][conflicts["split"] == "test"].item()
    assert f"test image {named} (glioma) has a twin with another label" in capsys.readouterr().err
    assert summary(tmp_path / "out")["twins"]["label_conflicts"] == 1


def test_drop_neighbours_leaves_no_neighbour_of_a_test_image(raw, tmp_path):
    run(params(duplicates="drop_neighbours", neighbour_threshold=0.9), raw, tmp_path / "out")
    groups = {
        name: set(read_split(tmp_path / "out" / name).index["neighbour_group"]) for name in ("train", "val", "test")
    }
    assert not groups["train"] & (groups["val"] | groups["test"])
    assert not groups["val"] & groups["test"]
    assert sum(summary(tmp_path / "out")["twins"]["dropped"].get("neighbour", {}).values()) > 0


def test_external_sets_leave_every_other_output_as_it_is(processed, processed_with_others):
    for name in ("train", "val", "test", "summary"):
        for path in (processed / name).iterdir():
            assert (processed_with_others / name / path.name).read_bytes() == path.read_bytes(), path


def test_without_an_external_set_its_folder_is_there_and_empty(processed):
    split = read_split(processed / "external")
    assert (len(split.index), split.images.shape, split.masks.shape) == (0, (0, 32, 32, 3), (0, 32, 32))
    assert read_json(processed / "external/counts.json", dict) == {}
    assert read_json(processed / "external/preprocess.json", dict) == read_json(
        processed / "train/preprocess.json", dict
    )


def test_of_external_sets_what_training_has_seen_is_left_out_and_counted(raw_with_others, processed_with_others):
    counts = read_json(processed_with_others / "external/counts.json", dict)
    assert counts["elsewhere"] == {
        "images": 29,
        "labelled": 28,
        "with_mask": 27,
        "excluded": 0,
        "unreadable": 1,
        "training_twins": {"pituitary": 1},
        "training_patients": {"glioma": 1, "pituitary": 1},
        "left": {"cyst": 1, **dict.fromkeys(CLASSES, 6)},
        "unlabelled": 0,
        "unknown_classes": {"cyst": 1},
        "scored": dict.fromkeys(CLASSES, 6),
        "masked": 25,
        "training_neighbours": {"pituitary": 1},
        "patients_seen": 0,
    }
    told = {name: counts["slices"][name] for name in ("images", "labelled", "left", "unlabelled", "masked", "scored")}
    assert told == {"images": 4, "labelled": 0, "left": {"unlabelled": 4}, "unlabelled": 4, "masked": 4, "scored": {}}
    paths = manifest.read_manifest(raw_with_others).set_index("image_id")["path"]
    split = read_split(processed_with_others / "external")
    left = set(paths[split.index["image_id"]])
    assert not left & {"copy.jpg", "friend.png", "known.png", "broken.png"}
    assert {"cyst.png", "glioma_0.png", "images/1.png"} <= left
    assert len(left) == len(split.images) == 29
    for row in split.index.itertuples():
        assert split.masks[row.mask_row].any() == (row.label != "notumor")


def test_an_unreadable_external_image_counts_among_no_others(raw_with_others, tmp_path, capsys):
    run(params(max_bad=0.0), raw_with_others, tmp_path / "out")
    assert summary(tmp_path / "out")["unreadable"] == []
    assert "left out: cannot be decoded: no known image format" in capsys.readouterr().err


def test_an_excluded_external_image_is_left_out(raw_with_others, processed_with_others, tmp_path):
    gone = read_split(processed_with_others / "external").index["image_id"][0]
    run(params(), raw_with_others, tmp_path / "out", [(gone, "cut off")])
    counts = read_json(tmp_path / "out/external/counts.json", dict)["elsewhere"]
    assert (counts["excluded"], sum(counts["left"].values())) == (1, 24)
    assert gone not in set(read_split(tmp_path / "out/external").index["image_id"])
    assert summary(tmp_path / "out")["excluded"] == {}


def with_labels(mask: np.ndarray, kind: str) -> np.ndarray:
    """Return a mask whose rim is another label than its middle, in one of the ways in which sets keep labels."""
    whole, core = mask > 0, cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
    nothing = np.zeros_like(mask)
    return {
        "binary": mask,
        "colours": np.dstack([core * np.uint8(255), core * np.uint8(255), whole * np.uint8(255)]),  # OpenCV: BGR
        "alpha": np.dstack([nothing, nothing, nothing, mask]),
    }[kind]


@pytest.mark.slow
def test_the_whole_tumour_is_kept_however_a_mask_names_its_labels(tmp_path, capsys):
    found = {}
    for kind in ("binary", "colours", "alpha"):
        rng, rows, folder = np.random.default_rng(5), ["path,label,mask"], tmp_path / kind
        folder.mkdir()
        for label in ("glioma", "meningioma", "pituitary"):
            for at in range(6):
                image, mask = draw_scan(rng, label)
                cv2.imwrite(str(folder / f"{label}{at}.png"), image)
                cv2.imwrite(str(folder / f"{label}{at}_m.png"), with_labels(mask, kind))
                rows.append(f"{label}{at}.png,{label},{label}{at}_m.png")
        (folder / "own.csv").write_text("\n".join(rows) + "\n")
        capsys.readouterr()
        run(params(), fetched(folder, "local", manifest=folder / "own.csv"), folder / "out")
        several = "18 of 18 masks hold several labels, all of them taken for tumour; the first are of images"
        assert (several in capsys.readouterr().err) == (kind == "colours")
        found[kind] = [(folder / f"out/{split}/masks.npy").read_bytes() for split in ("train", "val", "test")]
    assert found["binary"] == found["colours"] == found["alpha"]


def test_a_cluster_writes_the_same_bytes(raw_with_others, processed_with_others, tmp_path, monkeypatch):
    monkeypatch.setattr(scans, "_at_once", lambda _: 10)
    fake_dask.put_in_place(monkeypatch)
    run(params(), raw_with_others, tmp_path / "out")
    found = {path.relative_to(tmp_path / "out"): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    expected = [path for path in processed_with_others.rglob("*") if path.is_file()]
    assert set(found) == {path.relative_to(processed_with_others) for path in expected}
    for path in expected:
        assert found[path.relative_to(processed_with_others)].read_bytes() == path.read_bytes(), path
