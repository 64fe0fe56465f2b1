"""Pieces of work for the tests of clusters, in a module that workers can import."""

import time

import numpy as np

from brainmri.core.errors import ArtifactError
from brainmri.preprocessing import scans


def squares(start, stop):
    """Return the sum of some numbers, and their squares."""
    numbers = np.arange(start, stop)
    return int(numbers.sum()), {"squares": numbers**2}


def refused(start, stop):
    raise ArtifactError(f"pieces: should be there, received none from {start} on; run it again")


def unwritable(start, stop):
    raise PermissionError(13, "Permission denied", "/shared/place")


def read_slowly(raw, manifest, params):
    """Read a piece of a set so slowly that a worker can be killed meanwhile."""
    time.sleep(0.3)
    return scans.read_piece(raw, manifest, params)
