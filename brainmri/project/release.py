"""Write a trained classifier and U-Net as one archive for others, with all that is to be known of them.

Equal models, params and pages give equal bytes: members are sorted, stored without compression, and carry one fixed
date. No scan goes into it. Paths of data on this machine stay behind, but not what a network may have memorised:
the model card says so.
"""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ruamel.yaml import YAML

from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.files import read_json, read_record, write_bytes
from brainmri.core.git import git
from brainmri.core.labels import NOT_CLINICAL
from brainmri.core.params import read_yaml
from brainmri.prediction.released import ABOUT, FORMAT, SUMS
from brainmri.preprocessing.image_params import MadeWith

# What prediction reads of each folder, and the versions that wrote it; curves and further seeds stay at home.
CLASSIFIER = ("model.keras", "preprocess.json", "metadata.json", "calibration.json", "likeness.npz", "versions.json")
UNET = ("model.keras", "preprocess.json", "postprocess.json", "versions.json")
CARD = "metrics/model_card.md"
PAGES = {"LICENSE": "LICENSE", "CITATION.cff": "CITATION.cff", "LICENCES.md": "docs/licences.md"}
README = f"""# A classifier and a tumour outline for brain MRI slices

**{NOT_CLINICAL}.** MODEL_CARD.md says what it was trained on, how good it is, what it is for and not for, and what its
weights may give away of the scans that it was trained on. LICENCES.md says where code and images come from.

    brainmri predict --model THIS_ARCHIVE SCAN

params.yaml has the params of the run that made it; SHA256SUMS is checked before anything is read (`sha256sum -c`).
"""


def release(root: Path, out: Path) -> str:
    """Write the archive of the models in a project's folder, and return its SHA-256.

    Raises
    ------
    ArtifactError
        If a model, its card or its licences are missing, or what stands there is not of one run, as DVC sees it.
    InputError
        If it cannot be written.
    """
    _require_one_run(root)
    return write(root, out)


def write(root: Path, out: Path) -> str:
    """Write the archive of what stands in a project's folder, whether it is of one run or not; return its SHA-256."""
    members = _members(root)
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(members.items()))
    data = _zipped(members | {SUMS: sums.encode()})
    try:
        write_bytes(out, data)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}; name another with --out") from None
    return hashlib.sha256(data).hexdigest()


def _require_one_run(root: Path) -> None:
    """Refuse models, params and a card that DVC would not leave as they are: they would not be of one run."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            changed = sorted(name.rpartition(":")[2] for name in repo.status())  # it names a stage by its file too
    except DvcException as error:
        raise InputError(f"{root}: should be a DVC project whose state can be told: {error}") from None
    if changed:
        raise ArtifactError(
            f"{root}: models, params and card should be of one run, received changes in {', '.join(changed)} (see "
            "`dvc status`); run `dvc repro`, or get the run with `dvc pull` or `brainmri pull`"
        )


def _members(root: Path) -> dict[str, bytes]:
    """Return the content of each file of the archive by its name, but for the checksums."""
    members = {f"classifier/{name}": _read(root / "models/classifier" / name) for name in CLASSIFIER}
    if (root / "models/unet/skipped.json").exists():
        members["unet/skipped.json"] = _read(root / "models/unet/skipped.json")
    else:
        members |= {f"unet/{name}": _read(root / "models/unet" / name) for name in UNET}
    members |= {name: _read(root / path) for name, path in PAGES.items()}
    members["LICENCES.md"] = _alone(members["LICENCES.md"].decode()).encode()
    card = _read(root / CARD).decode()
    pictures = sorted(set(re.findall(r"\]\(\.\./(plots/[\w.-]+\.png)\)", card)))
    members |= {name: _read(root / name) for name in pictures}
    members["MODEL_CARD.md"] = card.replace("](../plots/", "](plots/").encode()
    members["README.md"] = README.encode()
    members["params.yaml"] = _params(root / "params.yaml")
    about = {
        "format": FORMAT,
        "note": NOT_CLINICAL,
        "classes": read_record(root / "models/classifier/preprocess.json", MadeWith).classes,
        "unet": "unet/model.keras" in members,
        "versions": read_json(root / "models/classifier/versions.json", dict[str, str]),
        "commit": _commit(root),
    }
    members[ABOUT] = (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()
    return members


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; run `dvc repro`, or `dvc pull` where somebody has") from None


def _alone(page: str) -> str:
    """Return a page without its links to other pages of the project, which are not in the archive."""
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", page)


def _params(path: Path) -> bytes:
    """Return the params without comments, and without folders of this machine: of a path only its last part."""
    place = io.StringIO()
    YAML(typ="safe", pure=True).dump(_without_folders(read_yaml(path)), place)
    return place.getvalue().encode()


def _without_folders(content: Any, key: str = "") -> Any:
    if isinstance(content, dict):
        return {name: _without_folders(value, f"{key}.{name}") for name, value in content.items()}
    if isinstance(content, list):
        return [_without_folders(value, key) for value in content]
    if not isinstance(content, str):
        return content
    absolute = PurePosixPath(content).is_absolute() or PureWindowsPath(content).drive or content.startswith(("~", ".."))
    if key.startswith(".fetch.local.") or absolute:
        return re.split(r"[/\\]", content.rstrip("/\\"))[-1]
    return content


def _commit(root: Path) -> str | None:
    """Return the commit that the project's folder stands at; None where it holds what no commit does."""
    try:
        if git(root, "status", "--porcelain", "--untracked-files=no"):
            return None
        return git(root, "rev-parse", "HEAD")
    except InputError:
        return None


def _zipped(members: dict[str, bytes]) -> bytes:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(members.items()):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the earliest date a zip can hold
            member.create_system = 3  # Unix, so that the mode below is understood
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    return place.getvalue()
