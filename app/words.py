"""Text from outside on a page."""

import re

from brainmri.reporting.documents import CODE


def plain(text: str) -> str:
    """Return text that Markdown shows as it is: a file may be called like a picture on another server."""
    return re.sub(r"([^\w\s])", r"\\\1", text)


def plain_but_code(text: str) -> str:
    """Return text that Markdown shows as it is, but for what stands in backticks, which is code."""
    return "".join(part if at % 2 else plain(part) for at, part in enumerate(CODE.split(text)))
