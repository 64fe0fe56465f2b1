"""What a user or a file can cause: each error is one sentence that says what, where, the rule and what was received."""

import sys
from collections.abc import Callable


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


def exit_on_error(main: Callable[[], None]) -> None:
    """Run a script's `main`; turn the errors above into one line on standard error and exit status 1."""
    try:
        main()
    except BrainMRIError as error:
        sys.exit(f"error: {error}")
