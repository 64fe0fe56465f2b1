"""Values as text: three digits, intervals in brackets, differences with their sign, and what stands for none.

The text is that of a block: plain, but for code in backticks; `documents` makes Markdown and HTML of it.
"""

import math
from collections.abc import Mapping
from typing import Any

NOT_KNOWN = "not known"  # of what nobody told
NOT_DEFINED = "not defined"  # of a score with nothing to divide by


def number(value: float | None, digits: int = 3, absent: str = NOT_KNOWN) -> str:
    """Return a figure with its digits; `absent` where there is none."""
    return absent if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def score(value: float | None) -> str:
    """Return a score, which may have had nothing to divide by."""
    return number(value, absent=NOT_DEFINED)


def with_ends(value: float | None, ends: Mapping[str, float | None] | None, absent: str = NOT_KNOWN) -> str:
    """Return a figure with the ends `low` and `high` of its interval, where it has one."""
    low, high = (None, None) if ends is None else (ends.get("low"), ends.get("high"))
    if low is None or high is None or value is None:
        return number(value, absent=absent)
    return f"{number(value, absent=absent)} ({number(low)} to {number(high)})"


def pair(down: float, across: float, digits: int) -> str:
    """Return two lengths, down and across."""
    known = math.isfinite(down) and math.isfinite(across)
    return f"{down:.{digits}f} x {across:.{digits}f}" if known else NOT_KNOWN


def signed(value: float | None) -> str:
    """Return a difference with its sign; nothing where there is none."""
    if value is None:
        return ""
    return _minus(f"{value:+.3f}") if math.isfinite(value) else NOT_DEFINED


def change(row: Mapping[str, float | None]) -> str:
    """Return a `difference` with its sign and the ends `low` and `high` of its interval."""
    if row["difference"] is None:
        return NOT_DEFINED
    if row["low"] is None or row["high"] is None:
        return f"{signed(row['difference'])} (no interval)"
    return f"{signed(row['difference'])} ({_minus(number(row['low']))} to {_minus(number(row['high']))})"


def p_value(p: float) -> str:
    """Return a p-value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def code(value: Any) -> str:
    """Return a value from params, files or branches as code, whatever it holds, or the word empty."""
    line = " ".join(str(value).split()).replace("`", "'")
    return f"`{line}`" if line else "empty"


def _minus(text: str) -> str:
    return text.replace("-", "−")
