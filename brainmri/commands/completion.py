"""`brainmri completion`: what makes a shell complete the others."""

import argparse
from collections.abc import Callable
from pathlib import Path

from brainmri.commands.arguments import Commands, add


def add_to(commands: Commands, parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the subcommand, which completes what `parser` makes."""
    command = add(commands, "completion", "print what makes a shell complete commands, options and paths")
    command.add_argument("shell", choices=("bash", "zsh"), help='the shell; try eval "$(brainmri completion bash)"')
    command.set_defaults(run=lambda args: completion(parser(), args.shell))


def completion(parser: argparse.ArgumentParser, shell: str) -> None:
    """Print the completion of a shell."""
    import shtab

    for own in [parser, *commands_of(parser).values()]:
        for action in own._actions:
            if action.type is Path or action.dest == "model":  # which may be an address, too
                action.complete = shtab.FILE  # type: ignore[attr-defined] # where shtab looks for it
    print(shtab.complete(parser, shell))


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the subcommands by name."""
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return dict(action.choices)
