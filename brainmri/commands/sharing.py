"""`brainmri push`, `pull`, `remote-check` and `release`: what colleagues and others get of a run."""

import argparse
from pathlib import Path

from brainmri.commands.arguments import Commands, InProject, add


def add_to(commands: Commands) -> None:
    """Add the subcommands."""
    for name, text in (
        ("push", "push all that colleagues need, and look whether it arrived"),
        ("pull", "get what this commit and these params lead to, and run nothing heavy"),
        ("remote-check", "say whether the remote can be read and written"),
    ):
        command = add(commands, name, text)
        command.add_argument("--remote", metavar="NAME", help="DVC's name of the remote (default: its default one)")
        command.set_defaults(run=share, name=name)
    command = add(commands, "release", "write an archive of the trained models for others, with their card")
    place = "release/brainmri-model.zip"
    command.add_argument(
        "--out", type=Path, default=InProject(place), metavar="FILE", help=f"file to write (default: {place})"
    )
    command.set_defaults(run=release)


def share(args: argparse.Namespace) -> None:
    """Push to the remote, pull from it, or say whether it can be read and written."""
    # Here and not at the top: DVC takes a second to import.
    from brainmri.project import sharing

    print(
        {"push": sharing.push, "pull": sharing.pull, "remote-check": sharing.check}[args.name](args.root, args.remote)
    )


def release(args: argparse.Namespace) -> None:
    """Write an archive of the trained models for others."""
    # Here and not at the top: DVC takes a second to import.
    from brainmri.project.release import release

    sha256 = release(args.root, args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, SHA-256 {sha256}")
    print(f"From a file:     brainmri predict --model {args.out} SCAN")
    print(f"From an address: brainmri predict --model https://.../{args.out.name} --sha256 {sha256} SCAN")
    print("What a published model may give away stands in its MODEL_CARD.md: read it before you publish.")
