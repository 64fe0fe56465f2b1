"""Shards hold every member, in sorted order, with bytes that depend on nothing but names and content."""

import errno
import hashlib
import zipfile

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmri.core import shards
from brainmri.core.errors import ArtifactError, InputError

MEMBERS = {"masks/2.png": b"22", "classes/a.jpg": b"a" * 30, "masks/10.png": b"10"}


def test_members_are_sorted_stored_and_undated(tmp_path):
    stored = shards.write(tmp_path, MEMBERS.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images-000.zip"]
    with zipfile.ZipFile(tmp_path / "images-000.zip") as archive:
        assert archive.namelist() == ["classes/a.jpg", "masks/10.png", "masks/2.png"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {(member.compress_type, member.create_system) for member in archive.infolist()} == {(0, 3)}
    assert stored["masks/2.png"] == shards.Stored("images-000.zip", hashlib.sha256(b"22").hexdigest(), 2)


def test_a_shard_is_closed_before_it_grows_too_large(tmp_path):
    stored = shards.write(tmp_path, MEMBERS.items(), shard_bytes=4)
    assert {name: place.shard for name, place in stored.items()} == {
        "classes/a.jpg": "images-000.zip",  # larger than a shard: alone in one
        "masks/10.png": "images-001.zip",
        "masks/2.png": "images-001.zip",
    }


@settings(max_examples=25)
@given(
    members=st.dictionaries(st.text("abé/", min_size=1, max_size=4), st.binary(max_size=9), max_size=6),
    order=st.randoms(use_true_random=False),
    size=st.integers(1, 30),
)
def test_the_order_of_arrival_changes_no_byte(tmp_path_factory, members, order, size):
    shuffled = list(members.items())
    order.shuffle(shuffled)
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    stored = shards.write(one, members.items(), size)
    assert shards.write(other, shuffled, size) == stored
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in other.iterdir()
    }
    assert {name: shards.read(one, place.shard, name) for name, place in stored.items()} == members


def test_the_bytes_of_a_shard_are_the_same_everywhere(tmp_path):
    shards.write(tmp_path, MEMBERS.items())
    digest = hashlib.sha256((tmp_path / "images-000.zip").read_bytes()).hexdigest()
    assert digest == "7df992385ba3e5ae36775656ef6fe33144ead224f74917ab8efa400b916022a6"


def test_a_name_that_comes_twice_is_refused_and_leaves_no_spool(tmp_path):
    with pytest.raises(InputError, match=r"a/1.png: two files of the source"):
        shards.write(tmp_path, [("a/1.png", b"1"), ("a/1.png", b"2")])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "_write_sorted", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device; free some space"):
        shards.write(tmp_path, MEMBERS.items())


def test_images_come_with_their_rows_and_masks(tmp_path):
    stored = shards.write(tmp_path, {"masks/i/1.png": b"image", "masks/m/1.png": b"mask", "own/x.png": b"x"}.items(), 1)
    rows = [("masks", "i/1.png", "m/1.png"), ("own", "x.png", "")]
    manifest = pd.DataFrame(rows, columns=["set", "path", "mask_path"])
    manifest["shard"] = [stored[f"{row.set}/{row.path}"].shard for row in manifest.itertuples()]
    manifest["mask_shard"] = [stored["masks/m/1.png"].shard, ""]
    found = [(row.path, data, mask) for row, data, mask in shards.read_images(tmp_path, manifest)]
    assert found == [("i/1.png", b"image", b"mask"), ("x.png", b"x", None)]


def test_a_missing_or_damaged_shard_or_member_is_refused(tmp_path):
    shards.write(tmp_path, MEMBERS.items())
    with pytest.raises(ArtifactError, match=r"holds no masks/3.png; run the fetch stage"):
        shards.read(tmp_path, "images-000.zip", "masks/3.png")
    with pytest.raises(ArtifactError, match=r"images-001.zip: not readable: .*No such file"):
        shards.read(tmp_path, "images-001.zip", "masks/2.png")
    path = tmp_path / "images-000.zip"
    path.write_bytes(path.read_bytes().replace(b"a" * 30, b"b" * 30))
    with pytest.raises(ArtifactError, match="not readable: Bad CRC-32"):
        shards.read(tmp_path, "images-000.zip", "classes/a.jpg")


def test_a_shard_that_was_written_anew_is_not_read_from_the_one_before(tmp_path):
    for content in (b"before", b"after!"):
        shards.write(tmp_path, {"a.png": content}.items())
        assert shards.read(tmp_path, "images-000.zip", "a.png") == content
        (tmp_path / "images-000.zip").unlink()
