"""Archives."""

import io
import os
import tarfile
import zipfile
from unittest import mock

import cv2
import numpy as np
from hostile.rows import Refused, Result, Row, predicted, saved

TITLE = "Archives"
INTRO = ""

PNG = bytes(cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(6, 8))[1])
BIG = 2**24 + 12345
LINE = "(1, 6, 8) L"


def zipped(*members, how=zipfile.ZIP_DEFLATED, change=lambda data: data):
    """Return the bytes of a zip of (name or ZipInfo, data), changed."""
    with zipfile.ZipFile(place := io.BytesIO(), "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return change(place.getvalue())


def tarred(*members, mode="w"):
    """Return the bytes of a tar of (name, data, type, link)."""
    with tarfile.open(fileobj=(place := io.BytesIO()), mode=mode) as archive:
        for name, data, kind, link in members:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, link
            archive.addfile(member, io.BytesIO(data))
    return place.getvalue()


def linked():
    member = zipfile.ZipInfo("a.png")
    member.external_attr = 0o120777 << 16
    return zipped((member, "/etc/passwd"))


def twice():
    """Return a zip of two members of one name, without the warning."""
    return zipped(("a.png", PNG), ("b.png", PNG), change=lambda data: data.replace(b"b.png", b"a.png"))


def smaller(data):
    """Return a zip whose directory and member announce 10 bytes."""
    size = BIG.to_bytes(4, "little")
    return data.replace(size, (10).to_bytes(4, "little"))


def escape(folder):
    """Write a zip with an absolute path into the test's own folder."""
    (folder / "set.zip").write_bytes(zipped((f"{folder}/gone.png", PNG)))
    return folder / "set.zip"


def link_out(folder):
    (folder / "set").mkdir()
    (folder / "outside.png").write_bytes(PNG)
    (folder / "set/a.png").symlink_to(folder / "outside.png")
    return folder / "set"


def pipe(folder):
    (folder / "set").mkdir()
    os.mkfifo(folder / "set/a.png")
    return folder / "set"


def long_header():
    """Return a tar with a GNU header for a long name, of 200 MiB."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 200 * 2**20
    return tarred(("a.png", PNG, REG, ""))[:1024] + member.tobuf(tarfile.GNU_FORMAT) + bytes(10240)


def bomb():
    """Return a tar.xz of 4 MiB of zeros in 1 kB."""
    return tarred(("a.nii", bytes(4 * 2**20), REG, ""), mode="w:xz")


def less(path):
    """Read with less room for what a tar unpacks to, so that the test need not write a gigabyte."""
    with mock.patch("brainmri.sources.archives._MOST_UNPACKED", 2**18):
        return predicted(path)


REG, SYM, HARD, DEVICE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
ROWS = [
    Row(
        "zip with `../`",
        saved("set.zip", zipped(("../a.png", PNG))),
        predicted,
        Refused("FILE: member '../a.png' leaves the archive; names should be relative, without '..'"),
    ),
    Row(
        "zip with `..\\`",
        saved("set.zip", zipped(("..\\a.png", PNG))),
        predicted,
        Refused("FILE: member '..\\\\a.png' leaves the archive; names should be relative, without '..'"),
    ),
    Row(
        "zip with an absolute path",
        escape,
        predicted,
        Refused("FILE: member 'FOLDER/gone.png' leaves the archive; names should be relative, without '..'"),
    ),
    Row(
        "zip with a path of a Windows drive",
        saved("set.zip", zipped(("C:/a.png", PNG))),
        predicted,
        Refused("FILE: member 'C:/a.png' leaves the archive; names should be relative, without '..'"),
    ),
    Row(
        "tar with `../`",
        saved("set.tar", tarred(("../a.png", PNG, REG, ""))),
        predicted,
        Refused("FILE: member '../a.png' leaves the archive; names should be relative, without '..'"),
    ),
    Row(
        "zip with a link",
        saved("set.zip", linked()),
        predicted,
        Refused("FILE: a.png is a link; an archive should hold files and folders alone"),
    ),
    Row(
        "tar with a symbolic link",
        saved("set.tar", tarred(("a.png", b"", SYM, "/etc/passwd"))),
        predicted,
        Refused("FILE: a.png is a link or a device; only files and folders are read"),
    ),
    Row(
        "tar with a hard link",
        saved("set.tar", tarred(("a.png", b"", HARD, "b.png"))),
        predicted,
        Refused("FILE: a.png is a link or a device; only files and folders are read"),
    ),
    Row(
        "tar with a device",
        saved("set.tar", tarred(("a.png", b"", DEVICE, ""))),
        predicted,
        Refused("FILE: a.png is a link or a device; only files and folders are read"),
    ),
    Row(
        "folder with a link to a file outside",
        link_out,
        predicted,
        Refused("FILE: a.png is a link that leaves the folder or names one; copy its files"),
    ),
    Row(
        "folder with a pipe",
        pipe,
        predicted,
        Refused("FILE: a.png is no regular file (a device, a pipe or a broken link)"),
    ),
    Row(
        "two members of one name",
        saved("set.zip", twice()),
        predicted,
        Refused("FILE: member 'a.png' occurs twice; each name should occur once"),
    ),
    Row(
        "member with a wrong CRC",
        saved(
            "set.zip",
            zipped(("a.png", PNG), how=zipfile.ZIP_STORED, change=lambda data: data.replace(PNG, PNG[:-1] + b"x")),
        ),
        predicted,
        Refused("FILE/a.png: damaged: Bad CRC-32 for file 'a.png'; check the file or fetch it anew"),
    ),
    Row(
        "member that unpacks to 16 MiB and announces 10 bytes",
        saved("set.zip", lambda: zipped(("a.nii", bytes(BIG)), change=smaller)),
        predicted,
        Refused("FILE/a.nii: damaged: Bad CRC-32 for file 'a.nii'; check the file or fetch it anew"),
    ),
    Row(
        "the same, packed by bzip2",
        saved("set.zip", lambda: zipped(("a.nii", bytes(BIG)), how=zipfile.ZIP_BZIP2, change=smaller)),
        predicted,
        Refused("FILE/a.nii: damaged: Bad CRC-32 for file 'a.nii'; check the file or fetch it anew"),
    ),
    Row(
        "member that announces 300 MiB",
        saved(
            "set.zip",
            zipped(
                ("a.png", b"1" * 1234567),
                change=lambda data: data.replace((1234567).to_bytes(4, "little"), (300 * 2**20).to_bytes(4, "little")),
            ),
        ),
        predicted,
        Refused("FILE: a.png: a file should have at most 268435456 bytes, received 314572800; crop or split it"),
    ),
    Row(
        "tar whose header of a name has 200 MiB",
        saved("set.tar", long_header()),
        predicted,
        Refused(
            "FILE: damaged: a header should have at most 1048576 bytes, received 209715200; check the file or fetch it anew"
        ),
    ),
    Row(
        "tar.xz that unpacks to a thousand times its size, and over 1 GiB",
        saved("set.txz", bomb),
        less,
        Refused(
            "FILE: 788 bytes should unpack to at most 262144, received more; unpack it, look what it holds, and give the folder"
        ),
    ),
    Row(
        "archive in an archive",
        saved("set.zip", zipped(("inner.zip", zipped(("a.png", PNG))), ("b.png", PNG))),
        predicted,
        Result("counted by name: `1 *.zip`", [f"b.png {LINE}", "1 *.zip"]),
    ),
    Row(
        "empty zip",
        saved("set.zip", zipped()),
        predicted,
        Result("read right: it holds nothing, and `predict` says so", []),
    ),
    Row(
        "zip that is cut off",
        saved("set.zip", zipped(("a.png", PNG))[:-30]),
        predicted,
        Refused("FILE: damaged: File is not a zip file; check the file or fetch it anew"),
    ),
    Row(
        "one part of a split zip",
        saved("set.zip", b"PK\x07\x08" + bytes(99)),
        predicted,
        Refused(
            "FILE: is one part of a split archive; unpack all parts together, such as by `7z x` on the first, and give the folder"
        ),
    ),
    Row(
        "zip with a name of 60,000 letters",
        saved("set.zip", zipped(("_" * 60000 + ".nii", b""))),
        predicted,
        Refused(
            "FILE: member '________________________________________'...: a name with its folders should have at most 1000 letters, received 60004; rename it"
        ),
    ),
    Row(
        "7-Zip that is called .zip",
        saved("set.zip", b"7z\xbc\xaf\x27\x1c" + bytes(99)),
        predicted,
        Refused(
            "FILE: neither a folder nor a .zip nor a .tar (.tar.gz, .tar.bz2, .tar.xz); if it is another archive, unpack it and give the folder"
        ),
    ),
]
