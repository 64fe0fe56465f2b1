"""Text from params, files and branches as Markdown that it cannot break: for people, and for pull requests."""

from collections.abc import Iterable
from typing import Any


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def text(value: Any) -> str:
    """Return text that cannot break a table, start a tag or mention a person in a pull request."""
    line = " ".join(str(value).split())
    for mark in ("\\", "|", "`", "*", "_", "[", "<", "@"):
        line = line.replace(mark, "&#64;" if mark == "@" else "&lt;" if mark == "<" else f"\\{mark}")
    return line


def sentence(value: Any) -> str:
    """Return `text` with its code spans left as they are: for the sentences of this project's errors."""
    return text(value).replace("\\`", "`")


def code(value: Any) -> str:
    """Return a code span, or the word empty."""
    line = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else "empty"
