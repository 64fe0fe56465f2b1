"""What a worker of a cluster does: be sure that it is the same software and sees the same files, work, write arrays."""

import hashlib
import platform
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from brainmri.core.errors import InputError

# Dask, and what `brainmri` needs: what it computes, and what workers and scheduler say to each other, depends on them.
PACKAGES = (
    *("distributed", "dvc", "h5py", "imagecodecs", "kagglehub", "keras", "matplotlib", "nibabel", "nilearn", "numpy"),
    *("opencv-python-headless", "pandas", "pillow", "pydantic", "pydicom", "ruamel.yaml", "scikit-learn", "scipy"),
    *("shtab", "simplejpeg", "tensorflow", "threadpoolctl", "tqdm"),
)
Stamp = tuple[int, int]  # bytes of a file, and when it was changed, in whole seconds: some shared folders keep no more


def work(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    stamps: Mapping[Path, Stamp],
    parts: Path,
    expected: Mapping[str, str],
) -> tuple[Any, str]:
    """Run a function as one piece of a long work; return its result, and the name in `parts` of the file of its arrays.

    The name is another for each attempt: a worker that was given up, and yet goes on, can spoil nothing.

    Parameters
    ----------
    function, args
        What returns the result and the arrays.
    stamps : mapping
        The `stamp` of each file that is read, as the process that asked sees it.
    parts : Path
        An existing folder on what the machines share.
    expected : mapping
        The `software` of the process that asked.

    Raises
    ------
    InputError
        If this worker runs other software, or sees other files; and what the function raises.
    """
    refuse_other_software(software(), expected)
    refuse_other_files(stamps)
    try:
        result, arrays = function(*args)
        with tempfile.NamedTemporaryFile(dir=parts, suffix=".npz", delete=False) as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise InputError(_elsewhere(f"{error.filename or parts}: {error.strerror or error}")) from None
    return result, Path(file.name).name


@lru_cache(maxsize=1)
def software() -> dict[str, str]:
    """Return the versions of Python and packages, and a SHA-256 of all code and tables of `brainmri`."""
    folder = Path(__file__).parent.parent
    code = hashlib.sha256()
    for path in sorted(path for kind in ("*.py", "*.csv", "*.yaml") for path in folder.rglob(kind)):
        code.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    versions = {name: _version(name) for name in PACKAGES}
    return {"brainmri's code": code.hexdigest()[:12], "python": platform.python_version(), **versions}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def refuse_other_software(own: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raise `InputError` where a worker's `software` is not that of the process that asked."""
    differ = [
        f"{name} {own.get(name, 'none')} for {wanted}" for name, wanted in expected.items() if own.get(name) != wanted
    ]
    if differ:
        raise InputError(
            "each worker of the cluster should run the software of the process that asks, received a worker with "
            f"{', '.join(differ)}; install the same commit from the same lock there, and start the workers anew"
        )


def stamp(path: Path) -> Stamp:
    """Return what tells, without reading it, that a file is the same here and there."""
    found = path.stat()
    return found.st_size, int(found.st_mtime)


def refuse_other_files(stamps: Mapping[Path, Stamp]) -> None:
    """Raise `InputError` where a worker does not see a file, or sees another under its path."""
    for path, wanted in stamps.items():
        try:
            found = stamp(path)
        except OSError as error:
            raise InputError(_elsewhere(f"{path}: {error.strerror or error}")) from None
        if found != wanted:
            raise InputError(
                _elsewhere(f"{path}: another file, of {found[0]} bytes for {wanted[0]} or of another time")
            )


def _elsewhere(what: str) -> str:
    return (
        "each worker of the cluster should see the folders of this run, under the same paths and with the right to "
        f"write there, received at a worker {what}; mount the shared folder there, as the same user"
    )


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Return the stamp of each of some files that is there, under its absolute path; of others the function tells."""
    return {path.absolute(): stamp(path) for path in paths if path.exists()}
