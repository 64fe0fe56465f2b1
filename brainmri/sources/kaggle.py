"""Download a public dataset with Kaggle's own client; say in one sentence what is in the way where it cannot.

The client keeps datasets in its cache (`KAGGLEHUB_CACHE`, by default a folder in the user's home), continues a broken
download where it stopped, checks the MD5 that the server states, and marks a dataset as complete only after unpacking
it. What it does not do, and `download` adds: remove an archive that turns out damaged, which it would else take for
complete at every later attempt; keep quiet about its own versions; and tell errors apart.
"""

import logging
import os
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

import kagglehub
from kagglehub import clients
from kagglehub.cache import get_cached_archive_path
from kagglehub.config import get_cache_folder
from kagglehub.exceptions import DataCorruptionError, KaggleApiHTTPError
from kagglehub.handle import parse_dataset_handle

from brainmri.core.errors import InputError

_HANDLE = re.compile("[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/versions/[1-9][0-9]{0,5}")
_BY_HAND = "or download its zip in a browser and read that with fetch.source=local"


def check_handle(handle: str | None) -> str | None:
    """Return the handle of a dataset; raise `ValueError` (for a params model) if it is no versioned one.

    Without a version, the same params would bring other images once the dataset has a new one.
    """
    if handle is not None and not is_handle(handle):
        raise ValueError("owner/dataset/versions/number, such as somebody/some-set/versions/1, or null")
    return handle


def is_handle(place: str) -> bool:
    """Return whether a place is a versioned dataset on Kaggle; a folder of that name is `./` and the same."""
    return _HANDLE.fullmatch(place) is not None


def download(handle: str) -> Path:
    """Return the folder with all files of a dataset, downloaded unless the client's cache has it already.

    Parameters
    ----------
    handle
        `owner/dataset/versions/number`.

    Raises
    ------
    InputError
        No connection, a broken connection (the next run continues), no such dataset or version, an account or consent
        needed, a server's error, a damaged archive (removed), or no space on the disk.
    """
    logging.getLogger("kagglehub").setLevel(logging.WARNING)
    clients.already_printed_version_warning = True  # versions are the lock file's business
    try:
        return Path(kagglehub.dataset_download(handle))
    except KaggleApiHTTPError as error:
        raise InputError(f"{handle}: {_refusal(error)}, {_BY_HAND}") from None
    except (DataCorruptionError, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise _damaged(handle, str(error)) from None
    except OSError as error:
        raise InputError(f"{handle}: {_interruption(error)}, {_BY_HAND}") from None
    except ValueError as error:
        raise _damaged(handle, str(error)) from None


def _refusal(error: KaggleApiHTTPError) -> str:
    status = error.response.status_code if error.response is not None else 0
    if status == 404:
        return "Kaggle has no such dataset or version (HTTP 404); look up owner, name and version on its page"
    if status in {401, 403}:
        return (
            f"Kaggle refuses it without an account or consent (HTTP {status}); accept its terms on its page and set "
            "KAGGLE_API_TOKEN to a token of your account"
        )
    return f"Kaggle answered with an error (HTTP {status}); run again later"


def _interruption(error: OSError) -> str:
    # Errors of the connection are OSErrors without a number; those of the disk have one.
    if error.errno is not None:
        reason = os.strerror(error.errno)
        return (
            f"cannot be stored in {get_cache_folder()}: {reason}; free space or set KAGGLEHUB_CACHE to another folder"
        )
    return (
        f"the connection to Kaggle failed or broke off ({type(error).__name__}); go online and run again (what has "
        "arrived is kept and continued)"
    )


def _archive(handle: str) -> Path:
    return Path(get_cached_archive_path(parse_dataset_handle(handle)))


def _damaged(handle: str, reason: str) -> InputError:
    """Remove the archive that was downloaded; without one, the client's own settings are at fault."""
    archive = _archive(handle)
    if not archive.exists():
        return InputError(f"{handle}: Kaggle's client refuses to start: {' '.join(reason.split())}")
    archive.unlink()
    return InputError(f"{handle}: the archive arrived damaged and was removed; run again, {_BY_HAND}")
