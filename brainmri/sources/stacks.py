"""Tell which frames of a DICOM series belong together, by numbers with a tolerance.

Scanners and anonymisers round: the orientation of one volume differs in its fourth decimal from slice to slice, an echo
time is 2.46 here and 2.4600001 there. Compared as text, or rounded, such a series falls into parts that lie between one
another, and each of these is a volume with twice the distance between its slices.
"""

from typing import Any

import numpy as np

from brainmri.core.errors import InputError
from brainmri.sources.dicom import Slice

# How far the next number may be, absolutely or as a part of itself, to be meant as the same.
_DIRECTION = (0.005, 0.0)  # of a unit vector: a quarter of a degree
_SPACING = (0.0, 0.002)  # mm
_ECHO = (0.02, 0.01)  # ms; echoes of one series lie about a millisecond apart, or more
_B_VALUE = (1.0, 0.01)  # s/mm2
_TOLERANCES = (*[_DIRECTION] * 6, *[_SPACING] * 2, _ECHO, _B_VALUE)
_DRIFT = 3  # tolerances that the numbers of one stack may span: beyond, neighbours are alike and the ends are not
_SAME_PLACE_MM = 0.05
MAX_VOLUMES = 1000  # that differ in more than time; diffusion has some hundreds of b-values


def grouped(slices: list[Slice]) -> list[list[Slice]]:
    """Return the frames of a series by volume: of one kind, size, orientation, spacing, echo, b-value, and time.

    What a file does not tell is a value of its own: frames without orientation stay together. Times part frames where
    some lie at one place: scanners also number the slices of a single volume by it.

    Raises
    ------
    InputError
        If numbers drift from frame to frame until their ends differ, if parallel volumes lie between one another, as no
        scanner measures, or if there are too many; the message gives the reason only.
    """
    numbers = np.array([[*one.directions.ravel(), *one.spacing_mm, *one.contrast] for one in slices])
    codes = np.stack([_coded(column, *own) for column, own in zip(numbers.T, _TOLERANCES, strict=True)], axis=1)
    found: dict[tuple[Any, ...], list[Slice]] = {}
    for one, code in zip(slices, codes.tolist(), strict=True):
        found.setdefault((*code, *one.stored.shape, one.kind), []).append(one)
    if len(found) > MAX_VOLUMES:
        raise InputError(
            f"a series should hold at most {MAX_VOLUMES} volumes beside its times, received {len(found)}; separate them"
        )
    parallel: dict[tuple[Any, ...], list[list[Slice]]] = {}
    for key, stack in found.items():
        parallel.setdefault(key[:6], []).append(stack)
    for stacks in parallel.values():
        _refuse_between(stacks)
    return [volume for key in sorted(found) for volume in _by_time(found[key])]


def _by_time(stack: list[Slice]) -> list[list[Slice]]:
    """Return the volumes of a stack: the whole where no two frames lie at one place, or their places are unknown."""
    along = _along(stack)
    if not np.isfinite(along).all() or len(_distinct(along)) == len(along):
        return [stack]
    by_time: dict[float, list[Slice]] = {}
    for one in stack:
        by_time.setdefault(one.time, []).append(one)
    return [by_time[time] for time in sorted(by_time)]


def _along(stack: list[Slice]) -> np.ndarray:
    """Return the places of frames along the normal of the first, in mm, sorted."""
    return np.sort([one.position_mm @ np.cross(*stack[0].directions) for one in stack])


def _coded(values: np.ndarray, absolute: float, relative: float) -> np.ndarray:
    """Return the same whole number for values that are meant as the same, in their order; unknown ones come last."""
    order = np.argsort(values, kind="stable")  # NaN last
    ordered = values[order]
    step = np.diff(ordered, prepend=ordered[:1])
    allowed = np.maximum(absolute, relative * np.abs(ordered))
    new = (step > allowed) | (np.isnan(ordered) & ~np.isnan(np.roll(ordered, 1)))
    new[0] = False
    group = np.cumsum(new)
    first = ordered[np.searchsorted(group, group)]
    if (ordered - first > _DRIFT * allowed).any():
        raise InputError(
            "slices of one series should be parallel and alike, received an orientation, spacing, echo time or b-value "
            "that changes little by little from slice to slice; export its volumes as series of their own"
        )
    codes = np.empty(len(values), int)
    codes[order] = group
    return codes


def _refuse_between(stacks: list[list[Slice]]) -> None:
    """Refuse parallel stacks of which one has slices in most of the gaps of another; a single picture may lie there."""
    along = [_along(stack) for stack in stacks]
    if len(stacks) < 2 or not all(np.isfinite(own).all() for own in along):
        return
    places = _distinct(np.sort(np.concatenate(along)))
    for own in map(_distinct, along):
        between = places[(places > own[0]) & (places < own[-1])]
        near = np.abs(between[:, None] - own[np.searchsorted(own, between)[:, None] - [0, 1]]).min(axis=1)
        filled = np.unique(np.searchsorted(own, between[near > _SAME_PLACE_MM]))
        if len(filled) > (len(own) - 1) / 2:
            raise InputError(
                "slices of one series should be of one ImageType, size, pixel spacing, echo time and b-value, or of "
                "several whole volumes, received such with other values between one another; export the series anew, "
                "or separate them"
            )


def _distinct(places: np.ndarray) -> np.ndarray:
    """Return sorted places without those that are the same as the one before."""
    return places[np.diff(places, prepend=-np.inf) > _SAME_PLACE_MM]
