"""A folder, a zip and a tar are read alike; what could reach outside, or is damaged, is refused in one sentence."""

import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packing import KINDS, add_to_tar, pack

from brainmri.core import kinds
from brainmri.core.errors import InputError
from brainmri.sources import archives

FILES = {"b/two.png": b"22", "a/one.png": b"1", "top.txt": b""}


def read_all(path: Path) -> dict[str, bytes]:
    with archives.opened(path) as archive:
        return {name: archive.read(name) for name in archive.files}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_lists_sorted_names_and_reads_them_in_any_order(tmp_path, kind):
    path = pack(tmp_path, FILES, kind, folders=("empty",))
    with archives.opened(path) as archive:
        assert archive.files == ["a/one.png", "b/two.png", "top.txt"]
        assert "empty" in archive.folders
        assert [archive.read(name) for name in reversed(archive.files)] == [b"", b"22", b"1"]


def test_names_are_brought_into_one_form(tmp_path):
    path = pack(tmp_path, {"./a\\b.png": b"1", "e\u0301.png": b"2"}, "zip")
    assert read_all(path) == {"a/b.png": b"1", "\u00e9.png": b"2"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["/etc/one.png", "../one.png", "a/../../one.png", "C:\\one.png", "a\\..\\one.png"])
def test_a_member_that_leaves_the_archive_is_refused(tmp_path, kind, name):
    with pytest.raises(InputError, match="leaves the archive"):
        read_all(pack(tmp_path, {name: b"1"}, kind))


@pytest.mark.parametrize("name", ["a\nb.png", "a\x07.png"])
def test_a_name_with_control_characters_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="without control characters"):
        read_all(pack(tmp_path, {name: b"1"}, "tar"))


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "set") + b"/\xff.png")).write_bytes(b"1")
    with pytest.raises(InputError, match="UTF-8"):
        read_all(tmp_path / "set")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_two_members_of_one_name_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=r"'a/one.png' occurs twice"):
        read_all(pack(tmp_path, {"a/one.png": b"1", "./a/one.png": b"2"}, kind))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        add_to_tar(archive, "one.png", kind, target="/etc/hostname")
    with pytest.raises(InputError, match=r"one.png is a link or a device"):
        read_all(tmp_path / "set.tar")


def test_a_link_in_a_zip_is_refused(tmp_path):
    member = zipfile.ZipInfo("one.png")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(member, "/etc/hostname")
    with pytest.raises(InputError, match=r"one.png is a link"):
        read_all(tmp_path / "set.zip")


def test_an_encrypted_zip_is_refused(tmp_path):
    path = pack(tmp_path, {"one.png": b"1"}, "zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"one.png is encrypted"):
        read_all(path)


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (93, "Zstandard"), (6, "method 6")])
def test_a_zip_that_is_packed_otherwise_says_what_helps(tmp_path, method, name):
    path = pack(tmp_path, {"one.png": b"1"}, "zip")
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        data[data.index(mark) + at] = method
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"one.png is packed by {name}, which is not read here; unpack it by"):
        read_all(path)


@pytest.mark.parametrize("kind", ["first", "last", "by name"])
def test_a_part_of_a_split_zip_is_refused_as_one(tmp_path, kind):
    path = pack(tmp_path, FILES, "zip")
    data = bytearray(path.read_bytes())
    if kind == "last":
        data[data.index(b"PK\x05\x06") + 4] = 2  # the number of the part that holds the end
        path.write_bytes(data[40:])
    elif kind == "first":
        path.write_bytes(b"PK\x07\x08" + data)
    else:
        path = path.rename(tmp_path / "set.zip.001")
        assert read_all(path) == FILES  # a single part is whole
        path.write_bytes(data[:-30])
    with pytest.raises(InputError, match="is one part of a split archive; unpack all parts together"):
        read_all(path)


def test_links_inside_a_folder_are_followed_and_others_refused(tmp_path):
    folder = pack(tmp_path, FILES, "folder")
    (folder / "link.png").symlink_to("a/one.png")
    assert read_all(folder)["link.png"] == b"1"
    (tmp_path / "outside.png").write_bytes(b"secret")
    (folder / "out.png").symlink_to("../outside.png")
    with pytest.raises(InputError, match=r"out.png is a link that leaves the folder"):
        read_all(folder)


def test_a_link_to_a_folder_is_refused(tmp_path):
    folder = pack(tmp_path, FILES, "folder")
    (folder / "loop").symlink_to(".")
    with pytest.raises(InputError, match="loop is a link that leaves the folder or names one"):
        read_all(folder)


def test_a_pipe_and_a_broken_link_in_a_folder_are_refused(tmp_path):
    folder = pack(tmp_path, FILES, "folder")
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(InputError, match=r"pipe.png is no regular file"):
        read_all(folder)
    (folder / "pipe.png").unlink()
    (folder / "gone.png").symlink_to("nothing.png")
    with pytest.raises(InputError, match=r"gone.png is no regular file"):
        read_all(folder)


def test_a_folder_given_through_a_link_is_read(tmp_path):
    (tmp_path / "alias").symlink_to(pack(tmp_path, FILES, "folder"))
    assert read_all(tmp_path / "alias") == FILES


def test_no_such_path_and_no_archive_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read_all(tmp_path / "gone.zip")
    (tmp_path / "text.zip").write_text("this is no archive" * 100)
    with pytest.raises(InputError, match=r"neither a folder nor a .zip nor a .tar"):
        read_all(tmp_path / "text.zip")
    (tmp_path / "empty.zip").write_bytes(b"")
    with pytest.raises(InputError, match=r"neither a folder nor a .zip nor a .tar"):
        read_all(tmp_path / "empty.zip")


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.75])
def test_a_truncated_archive_is_refused(tmp_path, kind, part):
    path = pack(tmp_path, {f"a/{n}.png": os.urandom(3000) for n in range(9)}, kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_all(path)


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    path = pack(tmp_path, FILES, "tar")
    path.write_bytes(path.read_bytes()[:1024])  # the first member: a header block and a data block
    with pytest.raises(InputError, match="breaks off before its end mark"):
        read_all(path)


def test_a_changed_byte_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.png", b"the bytes of one.png")
    path.write_bytes(path.read_bytes().replace(b"the bytes", b"The bytes"))
    with pytest.raises(InputError, match=r"set.zip: one.png: damaged: Bad CRC-32"):
        read_all(path)


def test_a_file_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "MAX_FILE_BYTES", 1)
    for kind in ("folder", "zip", "tar"):
        with pytest.raises(InputError, match="at most 1 bytes, received 2"):
            read_all(pack(tmp_path / kind, {"two.png": b"22"}, kind))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS[1:]), changes=st.dictionaries(st.integers(0, 10**6), st.integers(0, 255), max_size=4))
def test_flipped_bytes_give_the_files_or_one_input_error(tmp_path, kind, changes):
    path = pack(tmp_path, {"a/one.png": b"1" * 700, "b.png": b"2"}, kind)
    data = bytearray(path.read_bytes())
    for place, byte in changes.items():
        data[place % len(data)] = byte
    path.write_bytes(data)
    sentence = ""
    try:
        read_all(path)
    except InputError as error:
        sentence = str(error)
    assert "\n" not in sentence
