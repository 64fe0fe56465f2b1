"""How unlike its training images a picture is to a network: that gives every picture a class, and often surely."""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from brainmri.core.errors import ArtifactError
from brainmri.core.missing import missing

LIKENESS = "likeness.npz"
_DIRECTIONS = 64  # in which features are told apart; with 32 less was found, with 128 no more
_EACH = 8  # images that a direction needs at least


@dataclass(frozen=True)
class Likeness:
    """What training images are to a network: the features that it ends in, (P,) an image, and how they vary.

    Twice: the features themselves, and the same scaled to length 1. Real scans trained on, drawings of other organs
    stood out by the first, CT by the second (docs/predict.md). Of each a Gaussian about each class, of one covariance
    [1]_, whose variances beyond the largest are taken for equal [2]_: few images do not tell them, and it stays small.

    References
    ----------
    .. [1] Lee et al. 2018, arXiv:1807.03888; scaled to length 1: Mueller and Hein 2025, arXiv:2505.18032.
    .. [2] Tipping and Bishop 1999, doi:10.1111/1467-9868.00196.
    """

    centres: np.ndarray  # (2, C, P), means of the C classes
    axes: np.ndarray  # (2, P, D), directions in which features vary most within a class
    variances: np.ndarray  # (2, D + 1), along each of these, and last in any other
    typical: np.ndarray  # (2,), the median distance of validation images


def learnt_likeness(features: np.ndarray, numbers: np.ndarray) -> Likeness:
    """Return what training images are, by their features (N, P) and class numbers (N,); `typical` is 1 until measured.

    A class without an image has no centre. Features that never vary count for little, but not for nothing.
    """
    parts = [_gaussian(view, numbers) for view in _both(features)]
    centres, axes, variances = (np.stack(one).astype(np.float32) for one in zip(*parts, strict=True))
    return Likeness(centres, axes, variances, np.ones(2, np.float32))


def _gaussian(features: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the centres (C, P), axes (P, D) and variances (D + 1,) of features (N, P)."""
    classes, place = np.unique(numbers, return_inverse=True)
    centres = np.stack([features[numbers == number].mean(axis=0) for number in classes])
    inner = features - centres[place]
    variances, axes = np.linalg.eigh(inner.T @ inner / len(inner))  # the smallest first
    kept = max(min(_DIRECTIONS, features.shape[1] - 1, len(features) // _EACH), 1)
    rest = max(variances[:-kept].mean() if kept < len(variances) else 0, 1e-6 * variances.mean(), 1e-12)
    return centres, axes[:, -kept:], np.append(np.maximum(variances[-kept:], rest), rest)


def distances(features: np.ndarray, likeness: Likeness) -> np.ndarray:
    """Return how far features (N, P) lie from the nearest class, in standard deviations (Mahalanobis): (2, N)."""
    parts = (likeness.centres, likeness.axes, likeness.variances)
    found = []
    for view, centres, axes, variances in zip(_both(features), *parts, strict=True):
        away = view[:, None] - centres  # (N, C, P)
        along = (away @ axes) ** 2
        across = np.maximum((away**2).sum(axis=2) - along.sum(axis=2), 0) / variances[-1]
        found.append(np.sqrt((along / variances[:-1]).sum(axis=2) + across).min(axis=1))
    return np.stack(found)


def usual_distances(found: np.ndarray) -> np.ndarray:
    """Return the `typical` of validation images of distances (2, N), never 0: a network may see all images alike."""
    usual: np.ndarray = np.maximum(np.median(found, axis=1), 1e-6).astype(np.float32)
    return usual


def unlikeness(found: np.ndarray, likeness: Likeness) -> np.ndarray:
    """Return how unlike training images are those of distances (2, N): (N,), 1 as a middling validation image is."""
    larger: np.ndarray = (found / likeness.typical[:, None]).max(axis=0)
    return larger


def _both(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, P) as they are, and scaled to length 1 (0 stays 0); float64."""
    features = features.astype(float)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features, np.divide(features, length, out=np.zeros_like(features), where=length > 0)


def write_likeness(path: Path, likeness: Likeness) -> None:
    """Write it as `.npz`, the same bytes for the same numbers."""
    np.savez(path, **{part.name: getattr(likeness, part.name).astype(np.float32) for part in fields(likeness)})


def read_likeness(path: Path) -> Likeness:
    """Read what `write_likeness` wrote.

    Raises
    ------
    ArtifactError
        If there is no such file, or it is another.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Likeness(*(stored[part.name] for part in fields(Likeness)))
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path}: should be what train wrote, received another: {error}; run `dvc repro`") from None
