"""Which scores of a comparison fell by more than was allowed, beyond what chance explains."""

import sys
from collections.abc import Iterator
from typing import Any

from brainmri.core.errors import ArtifactError, InputError

HIGHER_IS_WORSE = ("loss", "ece")


def drops(result: dict[str, Any], limit: float) -> tuple[list[str], list[str]]:
    """Return the scores that fell by more than `limit`, whichever end of the interval is true, and those not checked.

    Of accuracy, macro F1, the F1 of each class and the mean Dice of each method, those whose interval of B - A ends
    below -limit; of loss and ECE, where higher is worse, those whose interval begins above limit. Not checked are
    scores without an interval, and whole parts that could not be compared. Each is a short text.

    Raises
    ------
    InputError
        If `limit` is negative or not a number.
    """
    if not limit >= 0:
        raise InputError(f"compare: the allowed drop should be a number of at least 0, received {limit}")
    fell, unchecked = [], []
    for name, row in _gated(result):
        if row is None or row["low"] is None:
            unchecked.append(name)
        elif row["low"] > limit if name in HIGHER_IS_WORSE else row["high"] < -limit:
            fell.append(f"{name} ({row['difference']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f})")
    return fell, unchecked


def outcome(result: dict[str, Any], limit: float) -> str:
    """Return, as a sentence or two, whether the scores kept the bound, and which were not checked."""
    fell, unchecked = drops(result, limit)
    checked = len(list(_gated(result))) - len(unchecked)
    rule = f"no score should surely get worse by more than {limit:g}"
    said = (
        f"Broken: {rule}, but {', '.join(fell)} did." if fell else f"Kept: {rule}, and of {checked} checked none did."
    )
    return f"{said} Not checked: {', '.join(unchecked)}." if unchecked else said


def require_comparable(result: dict[str, Any]) -> None:
    """Raise `ArtifactError` where a revision lacks what is compared, or has not run as it stands.

    The scores would then be equal, or absent, for a reason that says nothing about the change.
    """
    found = [*result["lacking"], *result["stale"]]
    if found:
        raise ArtifactError(
            f"compare: both revisions should have run and hold their results, received {'; '.join(found)}"
        )


def require_no_drop(result: dict[str, Any], limit: float) -> None:
    """Raise `ArtifactError` where `drops` finds a score that fell, or could not check accuracy; warn of other gaps."""
    fell, unchecked = drops(result, limit)
    where = f"{result['b']['name']}: no score should fall by more than {limit} beyond its interval"
    if fell:
        raise ArtifactError(f"{where}, received {', '.join(fell)}")
    if {"classification", "accuracy"} & set(unchecked):
        raise ArtifactError(f"{where}, received none that can be checked: accuracy has no paired interval")
    if unchecked:
        print(f"warning: not checked for a drop: {', '.join(unchecked)}", file=sys.stderr)


def _gated(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    if result["whole"] is None:
        yield "classification", None
    else:
        yield from ((name, row) for name, row in result["whole"]["scores"].items() if not name.endswith(".recall"))
    segmentation = result["segmentation"]
    if segmentation is None:
        yield "segmentation", None
    else:
        yield from ((f"dice of {name}", row) for name, row in segmentation["methods"].items())
        yield from ((f"dice of {name}", None) for name in [*segmentation["only_a"], *segmentation["only_b"]])
