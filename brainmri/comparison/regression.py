"""What a comparison comes to: a verdict on accuracy, and which scores fell by more than was allowed."""

import sys
from collections.abc import Iterator
from typing import Any

from brainmri.core.errors import ArtifactError, InputError
from brainmri.reporting.formatting import change, p_value, score

BEYOND_CHANCE = 0.05
HIGHER_IS_WORSE = ("loss", "ece")


def verdict(result: dict[str, Any]) -> str:
    """Return one line: what the data are, accuracy in A and B, the difference, and whether it is more than chance.

    *Beyond chance* needs both: the paired interval leaves zero out, and McNemar's p is below 0.05.
    """
    data = _kinds(result["a"]["simulated"], result["b"]["simulated"])
    if result["same_commit"]:
        a, b = (revision_name(result[side]) for side in "ab")
        return f"{data}: {a} and {b} are the same revision, there is nothing to compare"
    if _unchanged(result):
        accuracy = score(result["whole"]["scores"]["accuracy"]["a"])
        return (
            f"{data}: nothing changed: params, images, predictions, outlines and metrics are equal; accuracy {accuracy}"
        )
    if result["images"] is None:
        return f"{data}: predictions cannot be compared, because one revision or both lack them (see what is missing)"
    if result["whole"] is None:
        return f"{data}: predictions cannot be compared, because no image with the same label was scored in both"
    row, test = result["whole"]["scores"]["accuracy"], result["whole"]["mcnemar"]
    if result["whole"]["same"]:
        return f"{data}: accuracy {score(row['a'])} in both, every prediction is the same{_shared(result)}"
    return (
        f"{data}: accuracy {score(row['a'])} → {score(row['b'])}, {change(row)}, "
        f"McNemar {p_value(test['p'])}: {_reading(row, test['p'])}{_shared(result)}"
    )


def _unchanged(result: dict[str, Any]) -> bool:
    """Tell whether everything was compared and all of it is the same; what is missing may have changed."""
    compared = result["whole"] and result["data"] and result["segmentation"] and result["metrics"]
    if not compared or result["missing"] or result["stale"] or not result["whole"]["same"]:
        return False
    metrics = any(row["a"] != row["b"] for found in result["metrics"].values() for row in found.values())
    images = result["images"]["only_a"] + result["images"]["only_b"] + len(result["data"]["rows"])
    return not (metrics or images or any(result["params"].values()) or not result["segmentation"]["same"])


def _kinds(a: bool | None, b: bool | None) -> str:
    names = {True: "simulated", False: "not simulated", None: "unknown whether simulated"}
    if a == b:
        return {True: "Simulated data", False: "Data not simulated", None: "Data of unknown kind"}[a]
    return f"Different data ({names[a]} → {names[b]})"


def _reading(row: dict[str, float | None], p: float) -> str:
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return "too few units for an interval, so nothing can be said"
    excluded, unlikely = low > 0 or high < 0, p < BEYOND_CHANCE
    if excluded and unlikely:
        return "higher beyond chance" if low > 0 else "lower beyond chance"
    if excluded or unlikely:
        return f"not clear: the interval {'leaves zero out' if excluded else 'holds zero'}, the test says otherwise"
    return "no difference beyond chance"


def _shared(result: dict[str, Any]) -> str:
    images = result["images"]
    if not images["only_a"] and not images["only_b"] and not images["relabelled"]:
        return ""
    return f" (on the {result['whole']['images']} images that both scored under the same label: the test sets differ)"


def revision_name(side: dict[str, Any]) -> str:
    """Return what a revision is called, with its commit."""
    return str(side["name"]) + (f" ({side['commit'][:8]})" if side["commit"] else "")


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
        f"Bound broken: {rule}, but {', '.join(fell)} did."
        if fell
        else f"Bound kept: {rule}, and of {checked} checked none did."
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
