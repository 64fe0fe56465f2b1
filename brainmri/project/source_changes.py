"""Whether a local source still holds what fetch stored: its path is no dep of the stage, so DVC cannot tell."""

import hashlib
from contextlib import ExitStack
from pathlib import Path

from brainmri.core.errors import BrainMRIError
from brainmri.core.manifest import EXTERNAL, read_manifest
from brainmri.core.params import load
from brainmri.sources import local
from brainmri.sources.kaggle import is_handle
from stages import fetch


def changed(root: Path) -> str:
    """Return a sentence if a folder or archive of `fetch.local` or `fetch.external` has changed since fetch stored it.

    Empty if it has not, if neither names one that counts, or if `data/raw` is not here, which holds the SHA-256 of each
    image and, by a pseudonym, its patient: a table of patients has changed where it names other images to be of one
    person. Pseudonyms are of all sets together, so that they are not compared where one of these is on Kaggle.
    """
    params = load(root / "params.yaml", "fetch", fetch.Params)
    places = {name: value and str(root / value) for name, value in params.local.model_dump().items()}
    elsewhere = {name: str(root / place) for name, place in params.external.items() if not is_handle(place)}
    here = params.source == "local"
    whose = params.source != "kaggle" and len(elsewhere) == len(params.external)
    if not (here or elsewhere) or not (root / "data/raw/manifest.csv").exists():
        return ""
    params = params.model_copy(
        update={
            "source": "local" if here else "phantom",  # what is downloaded does not change, nor does the phantom
            "local": fetch.LocalParams(**places),
            "external": elsewhere,
        }
    )
    table = read_manifest(root / "data/raw")
    sets = [EXTERNAL + name for name in elsewhere] + (["classes", "masks", "manifest"] if here else [])
    stored = {
        (row.set, row.path): (row.sha256, row.mask_sha256, row.patient if whose else "")
        for row in table[table["set"].isin(sets)].itertuples()
    }
    try:
        with ExitStack() as stack:
            opened = fetch.open_sources(params, stack).values()
            found = {
                (image.set, image.path): (_sha256(image.data), _sha256(image.mask_data), image.patient if whose else "")
                for image in local.stream_all(opened)
            }
    except BrainMRIError as error:
        return f"fetch: the source cannot be compared with data/raw any more: {error}"
    counts = {
        "added": len(set(found) - set(stored)),
        "removed": len(set(stored) - set(found)),
        "changed": sum(found[name] != stored[name] for name in set(found) & set(stored)),
    }
    if not any(counts.values()):
        return ""
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"fetch: the source has changed since data/raw was fetched ({said}); `dvc repro --force fetch` reads it"


def _sha256(data: bytes | None) -> str:
    return hashlib.sha256(data).hexdigest() if data is not None else ""
