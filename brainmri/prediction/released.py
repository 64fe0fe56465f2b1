"""Use a model that somebody released: an archive of `brainmri release`, its folder, or its address, checked first.

An archive is taken apart into a temporary folder that is gone at the end. Each of its files has to be listed in it with
the SHA-256 that it has; against whoever would change files and list alike there is the SHA-256 of the whole archive,
which an address needs. Sizes are bounded: `MAX_BYTES` for the archive, as much for all its files together, and as much
for what a network's own file unpacks to.
"""

import hashlib
import http.client
import re
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.files import read_record
from brainmri.core.params import Record
from brainmri.sources import archives

FORMAT = 1  # of the archive; another number is refused
SUMS, ABOUT = "SHA256SUMS", "release.json"
MAX_BYTES = 2**30
MAX_FILES = 200
_PIECE = 2**20  # bytes at once
_QUIET_S = 30.0  # without a byte, until a download is given up


class About(Record):
    """What `release.json` of an archive has to tell."""

    format: int


class Released(NamedTuple):
    """Where the parts of a released model lie."""

    classifier: Path
    unet: Path | None
    params: Path  # of the run that made it; the K-means methods take theirs from it


def is_address(where: str) -> bool:
    """Return whether a model is named by its address and not by a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", where) is not None


@contextmanager
def opened(where: str, sha256: str | None = None) -> Iterator[Released]:
    """Give the parts of a released model for the length of a `with`.

    Parameters
    ----------
    where : str
        Path of an archive or of the folder that it was unpacked to, or an address (http or https).
    sha256 : str, optional
        Of the archive; needed with an address.

    Raises
    ------
    InputError, ArtifactError
        If it cannot be had, is larger than the bounds, leaves its folder, is damaged, or is no released model.
    """
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise InputError(f"--sha256: should be 64 hexadecimal digits, received {sha256!r}; copy it from the publisher")
    with TemporaryDirectory(prefix="brainmri-") as scratch:
        path = Path(where)
        if is_address(where):
            path = _downloaded(where, sha256, Path(scratch) / "model.zip")
        elif sha256 is not None:
            _require_sha256(str(path), sha256, _sha256_of(path))
        folder = Path(scratch) / "model"
        _unpack(path, _shown(where), folder)
        unet = folder / "unet"
        yield Released(folder / "classifier", unet if unet.exists() else None, folder / "params.yaml")


def _downloaded(address: str, sha256: str | None, path: Path) -> Path:
    """Fetch an archive to a path, and require that it is the one that was asked for."""
    shown = _shown(address)
    if urlsplit(address).scheme.lower() not in ("http", "https"):
        raise InputError(f"{shown}: an address should begin with http:// or https://; give other files by their path")
    if sha256 is None:
        raise InputError(f"{shown}: a model from an address needs its --sha256, received none; ask who published it")
    found = hashlib.sha256()
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "brainmri"})  # noqa: S310 -- see above
        with urllib.request.urlopen(request, timeout=_QUIET_S) as answer, path.open("wb") as file:  # noqa: S310
            total = int(answer.headers.get("Content-Length") or 0) or None
            with tqdm(desc="download", total=total, unit="B", unit_scale=True, delay=1) as bar:
                while piece := answer.read(_PIECE):
                    if bar.n + len(piece) > MAX_BYTES:
                        raise InputError(f"{shown}: a model should have at most {MAX_BYTES} bytes, received more")
                    found.update(piece)
                    file.write(piece)
                    bar.update(len(piece))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(f"{shown}: cannot be fetched: {error}; check the address and the network") from None
    _require_sha256(shown, sha256, found.hexdigest())
    return path


def _shown(where: str) -> str:
    """Return how to call a model in a message: an address without what may be secret in it."""
    if not is_address(where):
        return where
    parts = urlsplit(where)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _sha256_of(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: --sha256 is that of an archive, received no file; leave it out for a folder")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_sha256(shown: str, expected: str, received: str) -> None:
    if received != expected.lower():
        raise InputError(
            f"{shown}: should have the SHA-256 {expected.lower()}, received {received}; it is not what was published "
            "under that number, so it was not opened"
        )


def _unpack(path: Path, shown: str, folder: Path) -> None:
    """Write the files of an archive or a folder into a new folder, each checked against the list in it."""
    if path.is_file() and not zipfile.is_zipfile(path):
        raise InputError(f"{shown}: should be an archive that `brainmri release` wrote, received no zip")
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise InputError(f"{shown}: a model should have at most {MAX_BYTES} bytes, received {path.stat().st_size}")
    with archives.opened(path) as archive:
        if SUMS not in archive.files or len(archive.files) > MAX_FILES:
            raise ArtifactError(
                f"{shown}: should be a released model, with {SUMS} and at most {MAX_FILES} files, received "
                f"{len(archive.files)} files{'' if SUMS in archive.files else f' without {SUMS}'}; make one with "
                "`brainmri release`"
            )
        expected = _sums(archive.read(SUMS), shown)
        if set(expected) != set(archive.files) - {SUMS}:
            odd = sorted(set(expected) ^ (set(archive.files) - {SUMS}))
            raise ArtifactError(f"{shown}: {SUMS} should list the files that are there, received {odd[:3]}")
        total = 0
        for name, sha256 in expected.items():
            data = archive.read(name)
            total += len(data)
            if total > MAX_BYTES:
                raise InputError(f"{shown}: a model should unpack to at most {MAX_BYTES} bytes, received more")
            if hashlib.sha256(data).hexdigest() != sha256:
                raise ArtifactError(f"{shown}: {name} should have the SHA-256 that {SUMS} lists; fetch it anew")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    _require_known(folder, shown)


def _sums(data: bytes, shown: str) -> dict[str, str]:
    """Return the SHA-256 of each file by its name; the lines are those of `sha256sum`."""
    lines = [re.fullmatch(r"([0-9a-f]{64})  (.+)", line) for line in data.decode("utf-8", "replace").splitlines()]
    if not all(lines):
        raise ArtifactError(f"{shown}: {SUMS} should have lines of `sha256sum`, received another")
    return {line[2]: line[1] for line in lines if line}


def _require_known(folder: Path, shown: str) -> None:
    """Refuse an archive of another format, and networks or arrays that unpack to more than memory holds."""
    try:
        received: int | None = read_record(folder / ABOUT, About).format
    except ArtifactError:
        received = None
    if received != FORMAT:
        raise ArtifactError(
            f"{shown}: should be of format {FORMAT}, received {received}; use the brainmri that made it"
        )
    for path in sorted([*folder.rglob("*.keras"), *folder.rglob("*.npz")]):
        try:
            with zipfile.ZipFile(path) as inner:
                size = sum(member.file_size for member in inner.infolist())
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise ArtifactError(f"{shown}: {path.name} is no {path.suffix} file: {error}") from None
        if size > MAX_BYTES:
            raise InputError(f"{shown}: {path.name} should unpack to at most {MAX_BYTES} bytes, received {size}")
