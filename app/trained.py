"""The networks that every session and request shares, and where the project's folder is."""

import contextlib
import functools
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from brainmri.core.errors import BrainMRIError

if TYPE_CHECKING:
    from brainmri.prediction.trained_models import Models

_loading, _warming = threading.Lock(), threading.Lock()


def root() -> Path:
    """Return the project's folder: where a run left `models/`, `metrics/` and `plots/` (BRAINMRI_ROOT; else here)."""
    return Path(os.environ.get("BRAINMRI_ROOT", ""))


def trained() -> "Models":
    """Return the networks of the project's folder, loaded once however many ask for them at the same time.

    Raises
    ------
    ArtifactError, ParamsError
        As `models.load_models`.
    """
    with _loading:  # the cache alone would let two first users load twice
        return _trained(root())


def warm() -> None:
    """Begin to load the networks, if nobody has, while the first user reads the page."""
    if _warming.acquire(blocking=False):  # and never released
        threading.Thread(target=_try, name="warm", daemon=True).start()


def _try() -> None:
    with contextlib.suppress(BrainMRIError):  # whoever asks for an answer is told
        trained()


@functools.lru_cache(maxsize=1)
def _trained(folder: Path) -> "Models":
    # Here and not at the top: a page that waits for these imports is no page for seconds.
    from brainmri.prediction.trained_models import load_models

    unet, params = folder / "models/unet", folder / "params.yaml"
    return load_models(
        folder / "models/classifier", unet if unet.exists() else None, params if params.exists() else None
    )
