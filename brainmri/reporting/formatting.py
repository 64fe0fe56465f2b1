"""Figures as words: three digits, intervals in brackets, and what to say where there is no figure."""

import math
from collections.abc import Mapping


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure with its digits."""
    return "not known" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_ends(value: float | None, ends: Mapping[str, float] | None) -> str:
    """Return a figure with the ends `low` and `high` of its interval, where it has one."""
    if ends is None or ends.get("low") is None or ends.get("high") is None or value is None:
        return number(value)
    return f"{number(value)} ({number(ends['low'])} to {number(ends['high'])})"


def pair(down: float, across: float, digits: int) -> str:
    """Return two lengths, down and across."""
    known = math.isfinite(down) and math.isfinite(across)
    return f"{down:.{digits}f} x {across:.{digits}f}" if known else "not known"
