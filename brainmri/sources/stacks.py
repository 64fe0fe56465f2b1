"""Tell which frames of a DICOM series belong together, by numbers with a tolerance.

Scanners and anonymisers round: the orientation of one volume differs in its fourth decimal from slice to slice, an echo
time is 2.46 here and 2.4600001 there. Compared as text, or rounded, such a series falls into parts that lie between one
another, and each of these is a volume with twice the distance between its slices.
"""

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


def grouped(slices: list[Slice]) -> list[list[Slice]]:
    """Return the frames of a series by volume: of one kind, time, size, orientation, spacing, echo and b-value.

    What a file does not tell is a value of its own: frames without orientation stay together.

    Raises
    ------
    InputError
        If numbers drift from frame to frame until their ends differ, or if volumes that differ in spacing, echo or
        b-value alone lie between one another, as no scanner measures; the message gives the reason only.
    """
    numbers = np.array([[*one.directions.ravel(), *one.spacing_mm, *one.contrast] for one in slices])
    codes = np.stack([_coded(column, *own) for column, own in zip(numbers.T, _TOLERANCES, strict=True)], axis=1)
    found: dict[tuple[str, tuple[int, ...]], list[Slice]] = {}
    for one, code in zip(slices, codes.tolist(), strict=True):
        found.setdefault((str(one.stack), tuple(code)), []).append(one)
    planes: dict[tuple[str, tuple[int, ...]], list[list[Slice]]] = {}
    for stack, code in found:
        planes.setdefault((stack, code[:6]), []).append(found[stack, code])
    for stacks in planes.values():
        _refuse_between(stacks)
    return [found[key] for key in sorted(found)]


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
    """Refuse parallel stacks of which one has slices where another, within its own range, has none."""
    normal = np.cross(*stacks[0][0].directions)
    along = [np.sort([one.position_mm @ normal for one in stack]) for stack in stacks]
    if len(stacks) < 2 or not all(np.isfinite(own).all() for own in along):
        return
    places = _distinct(np.sort(np.concatenate(along)))
    for own in along:
        inside = (places > own[0] - _SAME_PLACE_MM) & (places < own[-1] + _SAME_PLACE_MM)
        if inside.sum() > len(_distinct(own)):
            raise InputError(
                "slices of one series should be of one pixel spacing, echo time and b-value, or of several volumes, "
                "received such with other values between one another; export the series anew, or separate them"
            )


def _distinct(places: np.ndarray) -> np.ndarray:
    """Return sorted places without those that are the same as the one before."""
    return places[np.diff(places, prepend=-np.inf) > _SAME_PLACE_MM]
