"""What a comparison of two revisions comes to, in a line, and its differences in words."""

import math
from typing import Any

from brainmri.reporting import markdown

BEYOND_CHANCE = 0.05


def verdict(result: dict[str, Any]) -> str:
    """Return one line: what the data are, accuracy in A and B, the difference, and whether it is more than chance.

    *Beyond chance* needs both: the paired interval leaves zero out, and McNemar's p is below 0.05.
    """
    data = _kinds(result["a"]["simulated"], result["b"]["simulated"])
    if result["same_commit"]:
        a, b = (revision_name(result[side]) for side in "ab")
        return f"{data}: {a} and {b} are the same revision, there is nothing to compare"
    if _unchanged(result):
        accuracy = number(result["whole"]["scores"]["accuracy"]["a"])
        return (
            f"{data}: nothing changed: params, images, predictions, outlines and metrics are equal; accuracy {accuracy}"
        )
    if result["images"] is None:
        return f"{data}: predictions cannot be compared, because one revision or both lack them (see what is missing)"
    if result["whole"] is None:
        return f"{data}: predictions cannot be compared, because no image with the same label was scored in both"
    row, test = result["whole"]["scores"]["accuracy"], result["whole"]["mcnemar"]
    if result["whole"]["same"]:
        return f"{data}: accuracy {number(row['a'])} in both, every prediction is the same{_shared(result)}"
    return (
        f"{data}: accuracy {number(row['a'])} → {number(row['b'])}, {change(row)}, "
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
    return markdown.text(side["name"]) + (f" ({side['commit'][:8]})" if side["commit"] else "")


def number(value: float | None) -> str:
    """Return a figure with three digits."""
    return "not defined" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign; nothing where there is none."""
    if value is None:
        return ""
    text = f"{value:+.3f}" if math.isfinite(value) else "not defined"
    return text.replace("-", "−")


def change(row: dict[str, float | None]) -> str:
    """Return a difference and its interval."""
    if row["difference"] is None:
        return "not defined"
    if row["low"] is None or row["high"] is None:
        return f"{signed(row['difference'])} (no interval)"
    low, high = (f"{row[end]:.3f}".replace("-", "−") for end in ("low", "high"))
    return f"{signed(row['difference'])} ({low} to {high})"


def p_value(p: float) -> str:
    """Return a p-value in words."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
