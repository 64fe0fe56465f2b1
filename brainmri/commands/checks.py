"""`brainmri check-params`, `verify-lock` and `verify-bits`: whether what stands in the project is true."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from brainmri.commands.arguments import PARAMS_HELP, Commands, InProject, add, models
from brainmri.core.errors import ArtifactError
from brainmri.project import lock, reproducibility, results


def add_to(commands: Commands) -> None:
    """Add the subcommands."""
    command = add(commands, "check-params", "check every section of params.yaml")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"), metavar="FILE", help=PARAMS_HELP)
    command.set_defaults(run=check_params)
    command = add(commands, "verify-lock", "check that dvc.yaml and dvc.lock are true to the code")
    command.add_argument("--write", action="store_true", help="first write the deps that are code into dvc.yaml")
    command.set_defaults(run=verify_lock)
    command = add(commands, "verify-bits", "run the pipeline in two clean clones, and compare every byte")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a param in both; may stand several times",
    )
    command.add_argument("--small", action="store_true", help="take a small set and small networks: minutes")
    command.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the two clones there (default: remove them)")
    command.set_defaults(run=verify_bits)


def check_params(args: argparse.Namespace) -> None:
    """Check every section of `params.yaml`, and name all problems of all of them."""
    from stages import check_params  # here and not at the top: pandas, OpenCV and scikit-learn take seconds to import

    check_params.require_valid(args.params)


def verify_lock(args: argparse.Namespace) -> None:
    """Check dvc.yaml, dvc.lock, params.yaml, the code, what git keeps of a run, and the README's tables."""
    # Here and not at the top: its tables and scores take a second to import.
    from brainmri.project import recomputed
    from brainmri.project.source_changes import changed

    if args.write:
        changed_stages = lock.write_deps(args.root)
        print(f"dvc.yaml: wrote the deps of {', '.join(changed_stages) or 'no stage: they were right'}")
    found = [*lock.problems(args.root, models()), *recomputed.problems(args.root)]
    stale = [page.name for page, text in results.pages(args.root).items() if page.read_text() != text]
    found += [f"{name}: tables should be those of results/; run `brainmri readme`" for name in stale]
    if warning := changed(args.root):
        print(f"warning: {warning}", file=sys.stderr)
    if found:
        raise ArtifactError("\n".join(found))
    print("dvc.yaml, dvc.lock, params.yaml, the code, metrics/, plots/ and the README agree")


def verify_bits(args: argparse.Namespace) -> None:
    """Run the pipeline in two clean clones, and fail where they wrote different bits."""
    settings = [*(reproducibility.SMALL if args.small else ()), *args.set]
    with TemporaryDirectory() as folder:
        print(reproducibility.verify(args.root, settings, args.keep or Path(folder)))
