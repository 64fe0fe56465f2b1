"""What a user or a file can cause: each error is one sentence that says what, where, the rule and what was received."""

import reprlib
import sys
from collections.abc import Callable
from typing import Any


class BrainMRIError(Exception):
    """Base of every error that is not a defect of this project."""


class ParamsError(BrainMRIError):
    """A section of `params.yaml` breaks a rule."""


class InputError(BrainMRIError):
    """A path, an archive, a table or an image given from outside cannot be used."""


class ArtifactError(BrainMRIError):
    """A file that another stage wrote is missing or does not fit."""


class TrainingError(BrainMRIError):
    """A training run went wrong in a way its params can mend."""


_short = reprlib.Repr()
_short.maxstring, _short.maxother, _short.maxlevel, _short.maxdict, _short.maxlist = 60, 60, 2, 3, 4


def shown(value: Any) -> str:
    """Return what was received as a sentence can hold it: on one line, long values cut in the middle."""
    try:
        return one_line(_short.repr(value))
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"a {type(value).__name__} too long to be written"


def one_line(said: Any, longest: int = 300) -> str:
    """Return what an error says, on one line."""
    text = " ".join(str(said).split())
    return text if len(text) <= longest else f"{text[:longest]} ..."


def exit_on_error(main: Callable[[], None]) -> None:
    """Run a script's `main`; turn the errors above into one line on standard error and exit status 1."""
    try:
        main()
    except BrainMRIError as error:
        sys.exit(f"error: {error}")
