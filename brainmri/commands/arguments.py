"""What the subcommands' parsers share."""

import argparse
from typing import NamedTuple, TypeAlias

from brainmri.core.labels import NOT_CLINICAL
from brainmri.core.params import Section

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # to which a file adds its subcommands

PARAMS_HELP = "file of params (default: the project's params.yaml)"


def add(commands: Commands, name: str, does: str) -> argparse.ArgumentParser:
    """Add a subcommand, and return its parser; what it does stands in the list of all and in its own help."""
    return commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}. {NOT_CLINICAL}.")


class InProject(NamedTuple):
    """The default of a path: a place in the project's folder, which `--root` names. Paths that are typed are not."""

    place: str


def models() -> dict[str, type[Section]]:
    """Return the typed model of each section of `params.yaml`."""
    from stages import check_params  # here and not at the top: pandas, OpenCV and scikit-learn take seconds to import

    return check_params.MODELS
