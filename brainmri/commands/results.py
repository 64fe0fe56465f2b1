"""`brainmri record` and `readme`: a run that is published, and the tables that are made of those."""

import argparse
from pathlib import Path

from brainmri.commands.arguments import Commands, add
from brainmri.project import published, recording, results


def add_to(commands: Commands) -> None:
    """Add the subcommands."""
    command = add(commands, "record", "keep this run's metrics, params, commit and versions as a result")
    command.add_argument("name", help="what docs/results.md shall call the run")
    command.add_argument("command_line", help="the command that made it, without private paths")
    command.add_argument(
        "out", type=Path, metavar="FILE", help="JSON file to write, such as results/nickparvar-cnn.json"
    )
    command.add_argument(
        "--pooled", type=Path, metavar="FOLDER", help="record what `brainmri pool` wrote there, instead of the run here"
    )
    command.set_defaults(run=record)
    command = add(commands, "readme", "write the tables and the chart of README and docs anew from results/")
    command.set_defaults(run=readme)


def record(args: argparse.Namespace) -> None:
    """Record the run that stands in the project's folder, or folds that were pooled."""
    if args.pooled is not None:
        recording.record_pooled(args.root, args.pooled, args.name, args.command_line, args.out)
    else:
        recording.record(args.root, args.name, args.command_line, args.out)


def readme(args: argparse.Namespace) -> None:
    """Write the tables of the README and of docs/results.md, and the chart of docs/patients.md, from `results/`."""
    # Here and not at the top: Matplotlib takes a second to import.
    from brainmri.comparison import patients_chart

    for page, text in results.pages(args.root).items():
        page.write_text(text)
    runs, others = published.published(args.root)
    patients_chart.draw(args.root / patients_chart.PICTURE, patients_chart.rows_of(runs.values(), others))
