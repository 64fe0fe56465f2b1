"""`brainmri check` and `suspects`: what is to be known of a set of images, and which of its labels may be wrong."""

import argparse
import json
from pathlib import Path

from brainmri.commands.arguments import PARAMS_HELP, Commands, InProject, add
from brainmri.core.errors import InputError


def add_to(commands: Commands) -> None:
    """Add the subcommands."""
    command = add(commands, "check", "look at a set of images before hours of training")
    command.add_argument(
        "paths", type=Path, nargs="+", metavar="SET", help="folder, .zip, .tar or manifest CSV; one of each kind"
    )
    command.add_argument("--json", action="store_true", help="print everything, as JSON (default: text)")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"), metavar="FILE", help=PARAMS_HELP)
    command.set_defaults(run=check)
    command = add(commands, "suspects", "list the training labels that may be wrong")
    command.add_argument("processed", type=Path, help="folder that preprocess wrote, such as data/processed")
    command.add_argument("out", type=Path, help="folder to write; it holds scans")
    command.add_argument(
        "--folds",
        type=int,
        default=5,
        metavar="N",
        help="parts of the training images; as many networks are trained (default: 5)",
    )
    command.add_argument("--epochs", type=int, default=12, metavar="N", help="epochs of each network (default: 12)")
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the folds and the networks (default: 0)"
    )
    command.set_defaults(run=suspects)


def check(args: argparse.Namespace) -> None:
    """Print what is to be known of a set; fail where a run would be refused."""
    # Here and not at the top: pandas and OpenCV take a second to import.
    from brainmri.project.check import as_text, check

    result = check(args.paths, args.params, args.root)
    print(json.dumps(result, indent=2, sort_keys=True, allow_nan=False) if args.json else as_text(result))
    if result["refused"]:
        raise InputError("a run would be refused, see above")


def suspects(args: argparse.Namespace) -> None:
    """Write and count the labels that may be wrong, and say what can be done with them."""
    # Here and not at the top: pandas and scikit-learn take a second to import.
    from brainmri.project.suspects import find

    found = find(args.processed, args.out, args.folds, args.epochs, args.seed)
    by_class = ", ".join(f"{count} {label}" for label, count in found["label"].value_counts().sort_index().items())
    print(f"{len(found)} labels to look at ({by_class or 'none'}): {args.out / 'suspects.csv'} and suspects.png")
    print(
        "Look at each before you act on it. To leave one out, add a line with its image_id and your reason to "
        f"{args.root / 'exclude.csv'}, such as\n    0123456789ab,label looks wrong\nand run `dvc repro`."
    )
