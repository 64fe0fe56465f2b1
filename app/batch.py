"""What one session brought: read once, answered once for each way of asking, and gone with the session."""

import io
import logging
import zipfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from app import limits
from brainmri.core import kinds
from brainmri.core.errors import BrainMRIError, InputError
from brainmri.prediction.answer import Answer, answer
from brainmri.prediction.inputs import Input, opened
from brainmri.prediction.trained_models import Models

T = TypeVar("T")
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Given:
    """A file, or several that belong together, under a key that is this content's alone within a session."""

    key: str
    name: str
    data: bytes


@dataclass(frozen=True)
class Failed:
    """What could not be read or answered, and why, in a sentence."""

    name: str
    reason: str


@dataclass(frozen=True)
class Read:
    """What a given file held: scans and what could not be read, in order, and what was passed over, by kind."""

    scans: list[Input | Failed]
    ignored: dict[str, int]


def together(files: Sequence[Given]) -> list[Given]:
    """Return the files with all loose DICOM files as one archive: dropped together, they are slices of series."""
    loose = [file for file in files if kinds.kind(file.name, file.data[: kinds.HEAD_BYTES]) == kinds.DICOM]
    if len(loose) < 2:
        return list(files)
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        for at, file in enumerate(loose):
            archive.writestr(f"{at:04d}-{file.name.rpartition('/')[2]}", file.data)
    bundle = Given("+".join(file.key for file in loose), "DICOM files", place.getvalue())
    return [*(file for file in files if file not in loose), bundle]


def read(given: Given) -> Read:
    """Read all there is in a file; whatever it holds, the caller goes on."""
    scans: list[Input | Failed] = []
    ignored: dict[str, int] = {}
    with _caught(given.name, scans):
        limits.require_small_file(given.name, given.data)
        with opened((given.name, given.data)) as found:
            ignored = found.ignored
            if not found.items:
                kinds = ", ".join(f"{count} {kind}" for kind, count in ignored.items()) or "nothing"
                raise InputError(f"{given.name}: should hold a picture, DICOM or NIfTI file, received {kinds}")
            if len(found.items) > limits.MAX_SCANS:
                raise InputError(
                    f"{given.name}: should hold at most {limits.MAX_SCANS} scans here, received {len(found.items)}"
                )
            for item in found.items:
                with _caught(item.name, scans):
                    scans += item.read()
    return Read(scans, ignored)


def answered(scan: Input, models: Models, method: str, gate: bool) -> Answer | Failed:
    """Answer for a scan; whatever it holds, the caller goes on."""
    found: list[Answer | Failed] = []
    with _caught(scan.name, found):
        found.append(answer(scan, models, method, gate))
    return found[0]


def room(scans: Sequence[Input | Failed]) -> list[Input | Failed]:
    """Return the scans with those that are too many for a session replaced by the reason."""
    voxels = count = 0
    kept: list[Input | Failed] = []
    for scan in scans:
        size = scan.levels.size if isinstance(scan, Input) else 0
        voxels, count = voxels + size, count + (size > 0)
        if voxels > limits.MAX_SESSION_VOXELS or count > limits.MAX_SCANS:
            rule = f"{limits.MAX_SCANS} scans and {limits.MAX_SESSION_VOXELS} voxels"
            scan = Failed(scan.name, f"{scan.name}: a session should hold at most {rule}; remove some of the others")
        kept.append(scan)
    return kept


def remembered(memory: MutableMapping[Key, Any], key: Key, make: Callable[..., T], *given: Any) -> T:
    """Return what `memory` has under a key; make it of what is given and keep it where it has nothing."""
    if key not in memory:
        memory[key] = make(*given)
    found: T = memory[key]
    return found


def forget(memory: MutableMapping[Key, Any], present: set[str]) -> None:
    """Drop from `memory` what belongs to files that are no longer there; keys begin with a file's."""
    for key in [key for key in memory if key[0] not in present]:
        del memory[key]


@contextmanager
def _caught(name: str, into: list[Any]) -> Iterator[None]:
    """Add to a list why the block failed, if it does; a defect of ours is logged, and no traceback is shown."""
    try:
        yield
    except BrainMRIError as error:
        into.append(Failed(name, str(error)))
    except Exception:  # the border to the outside: nothing a file holds may end a session
        logging.getLogger(__name__).exception("unforeseen: a scan could not be answered for")
        into.append(Failed(name, f"{name}: could not be answered for, for a reason nobody foresaw; the log has it"))
