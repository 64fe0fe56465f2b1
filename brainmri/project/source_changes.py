"""Whether a local source still holds what fetch stored: its path is no dep of the stage, so DVC cannot tell."""

import hashlib
from contextlib import ExitStack
from pathlib import Path

from brainmri.core.errors import BrainMRIError
from brainmri.core.manifest import read_manifest
from brainmri.core.params import load
from brainmri.sources import local
from stages import fetch


def changed(root: Path) -> str:
    """Return a sentence if the folder or archive that `fetch.local` names has changed since fetch stored it.

    Empty if it has not, if the source is another, or if `data/raw` is not here, which holds the SHA-256 of each image
    and, by a pseudonym, its patient: a table of patients has changed where it names other images to be of one person.
    """
    params = load(root / "params.yaml", "fetch", fetch.Params)
    if params.source != "local" or not (root / "data/raw/manifest.csv").exists():
        return ""
    places = {name: value and str(root / value) for name, value in params.local.model_dump().items()}
    params = params.model_copy(update={"local": fetch.LocalParams(**places)})
    table = read_manifest(root / "data/raw")
    stored = {(row.set, row.path): (row.sha256, row.mask_sha256, row.patient) for row in table.itertuples()}
    try:
        with ExitStack() as stack:
            opened = fetch.open_sources(params, stack).values()
            found = {
                (image.set, image.path): (_sha256(image.data), _sha256(image.mask_data), image.patient)
                for image in local.stream_all(opened)
            }
    except BrainMRIError as error:
        return f"fetch.local: the source cannot be compared with data/raw any more: {error}"
    counts = {
        "added": len(set(found) - set(stored)),
        "removed": len(set(stored) - set(found)),
        "changed": sum(found[name] != stored[name] for name in set(found) & set(stored)),
    }
    if not any(counts.values()):
        return ""
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return (
        f"fetch.local: the source has changed since data/raw was fetched ({said}); `dvc repro --force fetch` reads it"
    )


def _sha256(data: bytes | None) -> str:
    return hashlib.sha256(data).hexdigest() if data is not None else ""
