"""`brainmri compare`: two revisions against each other."""

import argparse
import json
from pathlib import Path

from brainmri.commands.arguments import Commands, add


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    command = add(commands, "compare", "say what changed between two revisions, and if more than chance")
    command.add_argument("rev_a", metavar="REV_A", help="commit, branch, tag or DVC experiment")
    command.add_argument(
        "rev_b",
        metavar="REV_B",
        nargs="?",
        default="workspace",
        help="another (default: workspace, the folder as it is)",
    )
    command.add_argument(
        "--json", action="store_true", help="print everything, as JSON (default: a summary, as Markdown)"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the bootstrap (default: 0)")
    command.add_argument(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="resamples of the bootstrap, at least 100 (default: 1000)",
    )
    command.add_argument(
        "--fail-on-drop",
        type=float,
        metavar="X",
        help="exit with status 1 where a score surely fell by more than that, such as 0.02 (default: never)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder to write report.html, report.md with charts, and summary.md to (default: none)",
    )
    command.add_argument(
        "--names", nargs=2, metavar=("A", "B"), help="how to call the two (default: as they are given)"
    )
    command.set_defaults(run=compare)


def compare(args: argparse.Namespace) -> None:
    """Print what changed between two revisions; fail where a score fell by more than was allowed."""
    # Here and not at the top: DVC, pandas and SciPy take a second to import.
    from brainmri.comparison.compare import compared
    from brainmri.comparison.compare_document import as_blocks, as_comment
    from brainmri.comparison.regression import require_comparable, require_no_drop
    from brainmri.comparison.revisions import read_revisions

    a, b = read_revisions(args.root, [args.rev_a, args.rev_b], args.names)
    result = compared(a, b, args.seed, args.bootstrap)
    text = as_comment(as_blocks(result, args.fail_on_drop))
    print(json.dumps(result, indent=2, sort_keys=True, allow_nan=False) + "\n" if args.json else text, end="")
    if args.out is not None:
        from brainmri.comparison.compare_report import write_report  # matplotlib takes a second more

        write_report(a, b, result, args.fail_on_drop, args.out)
    if args.out is not None or args.fail_on_drop is not None:
        require_comparable(result)
    if args.fail_on_drop is not None:
        require_no_drop(result, args.fail_on_drop)
