"""The one command, `brainmri`."""

import argparse
from pathlib import Path

from brainmri import lock, results
from brainmri.errors import ArtifactError, ParamsError, exit_on_error
from brainmri.params import Section, load


def models() -> dict[str, type[Section]]:
    """Return the typed model of each section of `params.yaml`."""
    # Here and not at the top: train brings TensorFlow, which takes seconds to import.
    from stages import augment, evaluate, fetch, preprocess, segment, train, train_unet

    stages = (fetch, preprocess, augment, train, train_unet, evaluate, segment)
    return {stage.__name__.removeprefix("stages."): stage.Params for stage in stages}


def check_params(args: argparse.Namespace) -> None:
    """Check every section of `params.yaml`, and name all problems of all of them."""
    found = []
    for name, model in models().items():
        try:
            load(args.params, name, model)
        except ParamsError as error:
            found.append(str(error))
    if found:
        raise ParamsError("\n".join(found))


def verify_lock(args: argparse.Namespace) -> None:
    """Check dvc.yaml, dvc.lock, params.yaml, the code and the README's tables against each other."""
    found = lock.problems(args.root, models())
    readme = (args.root / "README.md").read_text()
    if results.with_tables(readme, args.root / "results") != readme:
        found.append("README.md: tables should be those of results/; run `brainmri readme`")
    if found:
        raise ArtifactError("\n".join(found))
    print("dvc.yaml, dvc.lock, params.yaml, the code and the README agree")


def record(args: argparse.Namespace) -> None:
    """Record the run that stands in the project's folder."""
    results.record(args.root, args.name, args.command_line, args.out)


def readme(args: argparse.Namespace) -> None:
    """Write the README's tables anew from `results/`."""
    path = args.root / "README.md"
    path.write_text(results.with_tables(path.read_text(), args.root / "results"))


def main() -> None:
    """Run the `brainmri` command."""
    parser = argparse.ArgumentParser(prog="brainmri", description="Not for clinical use.")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: this one)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("check-params", help="check every section of params.yaml")
    command.add_argument("--params", type=Path, default=Path("params.yaml"))
    command.set_defaults(run=check_params)
    command = commands.add_parser("verify-lock", help="check that dvc.yaml and dvc.lock are true to the code")
    command.set_defaults(run=verify_lock)
    command = commands.add_parser("record", help="keep this run's metrics, params, commit and versions as a result")
    command.add_argument("name", help="how the README calls the run")
    command.add_argument("command_line", help="the command that made it, without private paths")
    command.add_argument("out", type=Path, help="JSON file to write, such as results/nickparvar-cnn.json")
    command.set_defaults(run=record)
    command = commands.add_parser("readme", help="write the README's tables anew from results/")
    command.set_defaults(run=readme)
    args = parser.parse_args()
    exit_on_error(lambda: args.run(args))


if __name__ == "__main__":
    main()
