"""Ask git."""

import subprocess
from pathlib import Path

from brainmri.core.errors import InputError


def git(root: Path, *words: str) -> str:
    """Return what `git` says to some words in a folder, without white space around it.

    Raises
    ------
    InputError
        If git fails, or is not there.
    """
    rule = f"{root}: `git {' '.join(words)}` should work here, in a git repository with a commit"
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"{rule}, received: {error}") from None
    if done.returncode:
        raise InputError(f"{rule}, received: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
