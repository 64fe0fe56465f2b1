"""The one command, `brainmri`: its parser, made of the subcommands' own, and how a line of words is run."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from brainmri.commands import checks, completion, results, revisions, runs, scans, sets, sharing
from brainmri.commands.arguments import InProject
from brainmri.core.errors import exit_on_error
from brainmri.core.labels import NOT_CLINICAL


def main() -> None:
    """Run the `brainmri` command."""
    args = parsed(sys.argv[1:])
    exit_on_error(lambda: args.run(args))


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line, paths that were not typed in the project's folder."""
    args = parser().parse_args(words)
    for name, value in vars(args).items():
        if isinstance(value, InProject):
            setattr(args, name, args.root / value.place)
    return args


def parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands; each has the function that runs it as `run`."""
    top = argparse.ArgumentParser(prog="brainmri", description=f"{NOT_CLINICAL}.")
    top.add_argument(
        "--root", type=Path, default=Path(), metavar="FOLDER", help="the project's folder (default: this one)"
    )
    top.add_argument("--version", action="version", version=f"brainmri {_version()}", help="print the version and exit")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for kind in (scans, sets, runs, revisions, results, sharing, checks):
        kind.add_to(commands)
    completion.add_to(commands, parser)
    return top


def _version() -> str:
    try:
        return version("brainmri")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
