"""Fetch brings every source into one form: equal images, equal bytes; nothing is written unless all of it is."""

import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from first_stages import contents, fetched, section
from packing import KINDS, pack
from PIL import Image

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.manifest import SourceImage, image_id, read_manifest
from brainmri.core.params import check
from brainmri.core.shards import read_images
from brainmri.sources import kaggle
from stages import fetch

ROOT = Path(__file__).parents[2]
CLASSES = {
    "Training/glioma/b.jpg": b"gb", "Training/glioma/a.jpg": b"ga", "Training/notumor/a.jpg": b"na",
    "Testing/meningioma/c.jpg": b"mc",
}  # fmt: skip
MASKS = {"images/2.png": b"i2", "masks/2.png": b"m2", "images/10.png": b"i10", "masks/10.png": b"m10"}
# Names of the Sartaj set, whose folders and files differ from the other's.
SARTAJ = {
    "Training/glioma_tumor/gg (1).jpg": b"1", "Training/meningioma_tumor/m (3).jpg": b"2",
    "Testing/no_tumor/image(1).jpg": b"3", "Testing/pituitary_tumor/p (12).jpg": b"4",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_equal_images_give_equal_bytes_however_they_come(tmp_path, kind):
    plain = fetched(
        tmp_path / "1",
        "local",
        classes=pack(tmp_path / "1c", CLASSES, "folder"),
        masks=pack(tmp_path / "1m", MASKS, "zip"),
    )
    shuffled = {f"archive/{name}": CLASSES[name] for name in sorted(CLASSES, reverse=True)}
    other = fetched(
        tmp_path / "2", "local", classes=pack(tmp_path / "2c", shuffled, kind), masks=pack(tmp_path / "2m", MASKS, kind)
    )
    assert contents(plain) == contents(other)


def test_kaggle_gives_the_bytes_of_the_same_files_at_hand(tmp_path, monkeypatch):
    folder = pack(tmp_path / "c", CLASSES, "folder")
    monkeypatch.setattr(kaggle, "download", lambda handle: folder)
    downloaded = contents(fetched(tmp_path / "1", "kaggle", classes="a/b/versions/1"))
    local = contents(fetched(tmp_path / "2", "local", classes=folder))
    assert json.loads(downloaded.pop("summary.json"))["kaggle"] == {"classes": "a/b/versions/1", "masks": None}
    assert json.loads(local.pop("summary.json"))["kaggle"] is None
    assert downloaded == local


def test_the_manifest_names_every_image_with_its_bytes(tmp_path):
    raw = fetched(
        tmp_path, "local", classes=pack(tmp_path / "c", CLASSES, "tar"), masks=pack(tmp_path / "m", MASKS, "tar")
    )
    table = read_manifest(raw)
    assert table[["set", "path", "label", "split", "number", "mask_path"]].values.tolist() == [
        ["classes", "Testing/meningioma/c.jpg", "meningioma", "test", -1, ""],
        ["classes", "Training/glioma/a.jpg", "glioma", "train", -1, ""],
        ["classes", "Training/glioma/b.jpg", "glioma", "train", -1, ""],
        ["classes", "Training/notumor/a.jpg", "notumor", "train", -1, ""],
        ["masks", "images/10.png", "", "", 10, "masks/10.png"],
        ["masks", "images/2.png", "", "", 2, "masks/2.png"],
    ]
    for row, data, mask in read_images(raw, table):
        assert data == (CLASSES | MASKS)[row.path]
        assert (row.sha256, row.file_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert row.image_id == image_id(row.set, row.path, row.sha256)
        assert (mask, row.mask_sha256) == (
            (MASKS[row.mask_path], hashlib.sha256(mask).hexdigest()) if row.mask_path else (None, "")
        )


def test_the_sartaj_layout_is_read(tmp_path, capsys):
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", SARTAJ, "zip"))
    table = read_manifest(raw)
    assert dict(zip(table["path"], table["split"] + "/" + table["label"], strict=True)) == {
        "Training/glioma_tumor/gg (1).jpg": "train/glioma",
        "Training/meningioma_tumor/m (3).jpg": "train/meningioma",
        "Testing/no_tumor/image(1).jpg": "test/notumor",
        "Testing/pituitary_tumor/p (12).jpg": "test/pituitary",
    }
    assert json.loads((raw / "summary.json").read_text())["sets"]["classes"]["differences"]["train/glioma"] == {
        "expected": 826,
        "found": 1,
    }
    assert re.search("warning: classes: .*known set: .*train/glioma 1 instead of 826", capsys.readouterr().err)


def test_a_manifest_beside_a_set_is_a_set_of_its_own(tmp_path, capsys):
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "y.png").write_bytes(b"y")
    (tmp_path / "own.csv").write_text("path,label,patient,split\nx.png,cyst,Jane Doe,train\ny.png,cyst,Jane Doe,test\n")
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", CLASSES, "zip"), manifest=tmp_path / "own.csv")
    table = read_manifest(raw)
    assert table[table["set"] == "manifest"][["path", "label", "patient"]].values.tolist() == [
        ["x.png", "cyst", "p0001"],
        ["y.png", "cyst", "p0001"],
    ]
    assert json.loads((raw / "summary.json").read_text())["sets"]["manifest"]["patients_in_several_splits"] == 1
    assert "warning: manifest: 1 patients have images in more than one split" in capsys.readouterr().err
    stored = b"".join(contents(raw).values())
    assert b"Jane" not in stored
    assert str(tmp_path).encode() not in stored


def test_the_summary_counts_by_split_and_label_and_names_what_was_ignored(tmp_path, capsys):
    files = CLASSES | {"__MACOSX/x": b"", "Training/glioma/Thumbs.db": b"", "readme.txt": b""}
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip"))
    assert json.loads((raw / "summary.json").read_text()) == {
        "source": "local",
        "simulated": False,
        "kaggle": None,
        "sets": {
            "classes": {
                "images": 4,
                "masks": 0,
                "volumes": 0,
                "patients": 0,
                "patients_in_several_splits": 0,
                "counts": {"test": {"meningioma": 1}, "train": {"glioma": 2, "notumor": 1}},
                "ignored": {"*.txt": 1, "Thumbs.db": 1, "__MACOSX": 1},
                "differences": {},
            }
        },
    }
    assert "warning: classes: ignored files: 1 *.txt, 1 Thumbs.db, 1 __MACOSX" in capsys.readouterr().err


def test_the_phantom_is_stored_like_any_set(tmp_path, monkeypatch):
    images = [
        SourceImage(
            "phantom", "Training/b.jpg", b"b", "glioma", "train", "p2", 1, "axial", (0.5, 0.75), "m/b.png", b"mb"
        ),
        SourceImage(
            "phantom", "Testing/a.jpg", b"a", "notumor", "test", "p1", 0, "coronal", (1.0, 1.0), "m/a.png", b"ma"
        ),
    ]
    monkeypatch.setattr(fetch, "simulate", lambda params: iter(images))
    raw = fetched(tmp_path, "phantom")
    table = read_manifest(raw)
    columns = ["path", "patient", "plane", "voxel_row_mm", "voxel_col_mm", "mask_path"]
    assert table[columns].values.tolist() == [
        ["Testing/a.jpg", "p1", "coronal", 1.0, 1.0, "m/a.png"],
        ["Training/b.jpg", "p2", "axial", 0.5, 0.75, "m/b.png"],
    ]
    assert json.loads((raw / "summary.json").read_text())["simulated"] is True


def test_a_voxel_size_that_is_not_known_stays_empty(tmp_path):
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", CLASSES, "zip"))
    assert np.isnan(read_manifest(raw)["voxel_row_mm"]).all()


def test_an_error_leaves_the_earlier_output_whole(tmp_path):
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", CLASSES, "zip"))
    before = contents(raw)
    with pytest.raises(InputError, match="folder 'Training/cyst' is no class"):
        fetched(tmp_path, "local", classes=pack(tmp_path / "d", {"Training/cyst/1.jpg": b""}, "zip"))
    assert contents(raw) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "d", "raw"]


def test_a_file_that_shows_its_damage_only_when_read_leaves_the_earlier_output_whole(tmp_path):
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", CLASSES, "zip"))
    before = contents(raw)
    path = pack(tmp_path / "d", {"glioma/1.jpg": b"1" * 50, "glioma/2.jpg": b"2"}, "zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 1  # the CRC-32 in the central directory
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"glioma/1.jpg: damaged: Bad CRC-32"):
        fetched(tmp_path, "local", classes=path)
    assert contents(raw) == before


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("local", "fetch.local.classes or fetch.local.masks or fetch.local.manifest"),
        ("kaggle", "fetch.kaggle.classes or fetch.kaggle.masks"),
    ],
)
def test_a_source_that_names_nothing_is_refused(tmp_path, source, keys):
    with pytest.raises(ParamsError, match=f"fetch.source is {source}, so {keys} should name a set"):
        fetched(tmp_path, source)


def test_a_channel_is_one_that_a_layout_has_and_for_a_set_that_has_channels(tmp_path):
    with pytest.raises(ParamsError, match=r"channel should be one of flair, post, pre, or null, received 't2'"):
        section("local", classes="a", channel="t2")
    path = pack(tmp_path / "c", CLASSES, "zip")
    with pytest.raises(ParamsError, match=r"fetch.channel should be null where no set .* received 'pre' for classes"):
        fetched(tmp_path, "local", classes=path, channel="pre")


def test_a_table_of_patients_joins_one_person_over_sets_and_names_who_is_missing(tmp_path, capsys):
    table = tmp_path / "whose.csv"
    table.write_text(
        "file,number,patient\nTraining/glioma/a.jpg,,Zoe\nimages/2.png,,Ada\n,10,Zoe\nb.jpg,,Ada\nc.jpg,,Kim\n"
    )
    named = {"classes": pack(tmp_path / "c", CLASSES, "zip"), "masks": pack(tmp_path / "m", MASKS, "folder")}
    raw = fetched(tmp_path, "local", **named, patients=table)
    assert dict(zip(read_manifest(raw)["path"], read_manifest(raw)["patient"], strict=True)) == {
        "Testing/meningioma/c.jpg": "p0002", "Training/glioma/a.jpg": "p0003", "Training/glioma/b.jpg": "p0001",
        "Training/notumor/a.jpg": "", "images/10.png": "p0003", "images/2.png": "p0001",
    }  # fmt: skip
    said = capsys.readouterr().err
    assert "classes: 1 of 4 images have no row in fetch.local.patients, the first is Training/notumor/a.jpg" in said
    assert said.count("have no row") == 1
    written = b"".join(contents(raw).values())
    assert b"Zoe" not in written
    assert b"whose" not in written


def test_a_table_of_patients_is_not_for_a_manifest():
    with pytest.raises(ParamsError, match=r"local should be without patients where manifest is named, which has a col"):
        section("local", classes="c", manifest="m.csv", patients="p.csv")


def test_slices_of_cases_are_stored_under_pseudonyms_with_their_channel(tmp_path):
    levels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    files = {f"{case}/{case}_1.tif": as_tiff(levels) for case in ("TCGA_DU_2", "TCGA_CS_1")}
    files |= {name.replace(".tif", "_mask.tif"): as_tiff(levels[..., 0]) for name in files}
    named = {"classes": pack(tmp_path / "c", CLASSES, "zip"), "channel": "post"}
    first = fetched(tmp_path / "1", "local", **named, masks=pack(tmp_path / "1m", files, "zip"))
    wrapped = {f"kaggle_3m/{name}": data for name, data in files.items()}
    assert contents(first) == contents(fetched(tmp_path / "2", "local", **named, masks=pack(tmp_path, wrapped, "tar")))
    table = read_manifest(first).query("set == 'masks'")
    assert table[["path", "number", "patient"]].values.tolist() == [
        ["TCGA_CS_1/TCGA_CS_1_1.tif/post.png", 1, "p0001"],
        ["TCGA_DU_2/TCGA_DU_2_1.tif/post.png", 2, "p0002"],
    ]
    for _, data, mask in read_images(first, table):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), levels[..., 2])
        assert mask == as_tiff(levels[..., 0])


def as_tiff(levels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "TIFF")
    return file.getvalue()


def test_params_are_checked_before_any_work():
    with pytest.raises(ParamsError, match=r"kaggle.classes should be owner/dataset/versions/number, .* received 'a/b'"):
        section("kaggle", classes="a/b")
    with pytest.raises(ParamsError, match=r"source should be 'phantom', 'kaggle' or 'local', received 'disk'"):
        section("disk")


def test_the_params_model_has_the_keys_of_params_yaml():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())["fetch"]
    assert check(values, fetch.Params, where="fetch").source == "phantom"


@pytest.mark.slow
@pytest.mark.parametrize("how", [["-m", "stages.fetch"], ["stages/fetch.py"]])
def test_the_stage_runs_as_a_module_and_by_path(tmp_path, how):
    values = section("local", classes=str(pack(tmp_path / "c", CLASSES, "zip"))).model_dump()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"fetch": values}))
    command = [sys.executable, *how, "checked", str(tmp_path / "raw"), "--params", str(tmp_path / "params.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "4/4" in done.stderr  # the progress bar
    values["local"]["classes"] = str(tmp_path / "gone.zip")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"fetch": values}))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'gone.zip'}: no such file or folder")


def test_an_external_set_of_any_layout_stands_beside_the_others_and_leaves_their_rows_alone(tmp_path):
    (tmp_path / "own.csv").write_text("path,label,patient\nx.png,cyst,Zoe\ny.png,cyst,Ada\n")
    (tmp_path / "their.csv").write_text("path,label,patient\nx.png,glioma,Abe\ny.png,glioma,Zoe\n")
    for name in ("x.png", "y.png"):
        (tmp_path / name).write_bytes(name.encode())
    own = {"manifest": tmp_path / "own.csv", "classes": pack(tmp_path / "c", CLASSES, "zip")}
    others = {"zoo": str(tmp_path / "their.csv"), "a-1": str(pack(tmp_path / "m", MASKS, "zip")),
              "sartaj": str(pack(tmp_path / "s", SARTAJ, "folder"))}  # fmt: skip
    alone = read_manifest(fetched(tmp_path / "1", "local", **own))
    raw = fetched(tmp_path / "2", "local", **own, external=others)
    table = read_manifest(raw)
    added = table[table["set"].str.startswith("external-")]
    assert table.drop(added.index).reset_index(drop=True).drop(columns="shard").equals(alone.drop(columns="shard"))
    assert added.groupby("set").size().to_dict() == {"external-a-1": 2, "external-sartaj": 4, "external-zoo": 2}
    # Zoe is one person everywhere; whom an external set alone names comes after all others.
    assert table[["set", "path", "patient"]][table["patient"] != ""].values.tolist() == [
        ["external-zoo", "x.png", "x0001"],
        ["external-zoo", "y.png", "p0002"],
        ["manifest", "x.png", "p0002"],
        ["manifest", "y.png", "p0001"],
    ]
    told = json.loads((raw / "summary.json").read_text())
    assert told["sets"]["external-sartaj"]["images"] == 4
    assert told["external"] == {"zoo": None, "a-1": None, "sartaj": None}
    assert str(tmp_path).encode() not in b"".join(contents(raw).values())
    assert {data for _, data, _ in read_images(raw, added)} >= {b"1", b"4", b"i2", b"x.png"}


def test_an_external_set_stands_beside_the_simulated_one_and_shares_no_patient_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        fetch, "simulate", lambda params: iter([SourceImage("phantom", "a.jpg", b"a", "glioma", "test", "p0001")])
    )
    (tmp_path / "their.csv").write_text("path,label,patient\nx.png,glioma,p0001\n")
    (tmp_path / "x.png").write_bytes(b"x")
    raw = fetched(tmp_path, "phantom", external={"zoo": str(tmp_path / "their.csv")})
    assert read_manifest(raw)[["set", "patient"]].values.tolist() == [["external-zoo", "x0001"], ["phantom", "p0001"]]


def test_an_external_set_may_be_on_kaggle(tmp_path, monkeypatch):
    folder = pack(tmp_path / "k", SARTAJ, "folder")
    monkeypatch.setattr(kaggle, "download", lambda handle: folder)
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", CLASSES, "zip"), external={"k": "a/b/versions/1"})
    assert (read_manifest(raw)["set"] == "external-k").sum() == 4
    assert json.loads((raw / "summary.json").read_text())["external"] == {"k": "a/b/versions/1"}


def test_classes_of_an_external_set_are_none_to_learn_from(tmp_path):
    others = {"sartaj": str(pack(tmp_path / "s", SARTAJ, "zip"))}
    with pytest.raises(InputError, match="at least one set should have classes, for the classifier to learn from"):
        fetched(tmp_path, "local", masks=pack(tmp_path / "m", MASKS, "zip"), external=others)


def test_a_table_of_patients_names_no_external_image(tmp_path, capsys):
    (tmp_path / "whose.csv").write_text("file,patient\na.jpg,Ada\n")
    own = pack(tmp_path / "c", {"glioma/a.jpg": b"a", "notumor/b.jpg": b"b"}, "zip")
    other = pack(tmp_path / "d", {"glioma/a.jpg": b"other"}, "zip")
    raw = fetched(tmp_path, "local", classes=own, patients=tmp_path / "whose.csv", external={"d": str(other)})
    assert read_manifest(raw)[["set", "patient"]].values.tolist() == [
        ["classes", "p0001"], ["classes", ""], ["external-d", ""],
    ]  # fmt: skip
    assert "warning: external-d" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("external", "match"),
    [
        ({"Sartaj": "a.zip"}, "external.Sartaj.* should be called by a short name of a-z, 0-9 and -, .*'Sartaj'"),
        ({"a/b": "a.zip"}, "should be called by a short name"),
        ({"a": ""}, "external.a should be a folder, an archive, a manifest CSV or owner/dataset/versions/number"),
        ({"a": None}, "external.a should be a valid string, received None"),
    ],
)
def test_an_external_set_has_a_short_name_and_a_place(external, match):
    with pytest.raises(ParamsError, match=match):
        section("phantom", external=external)
