"""`brainmri preset`, `run`, `sweep`, `pool`, `summary`: runs of the pipeline with other params, and what they find."""

import argparse
from pathlib import Path

from brainmri.commands.arguments import Commands, InProject, add, models
from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json
from brainmri.core.params import read_sections
from brainmri.project import published, reproducibility


def add_to(commands: Commands) -> None:
    """Add the subcommands."""
    command = add(commands, "summary", "say what the run here came to, and whether its bits are the commit's")
    command.set_defaults(run=summary)
    _add_presets(commands)
    command = add(commands, "sweep", "run a grid of params as experiments, and rank them on validation")
    command.add_argument("grid", help="values of params, such as 'train.dropout=0,0.2 train.learning_rate=0.001,0.002'")
    command.add_argument(
        "--out", type=Path, default=InProject("sweep"), metavar="FOLDER", help="folder to write (default: sweep)"
    )
    command.set_defaults(run=sweep)
    command = add(commands, "pool", "score the folds of a cross-validation as one, out of fold")
    command.add_argument("runs", nargs="+", metavar="REV", help="one a fold: commit, branch, tag or DVC experiment")
    command.add_argument(
        "--out", type=Path, default=InProject("pooled"), metavar="FOLDER", help="folder to write (default: pooled)"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the bootstrap (default: 0)")
    command.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="resamples of the bootstrap (default: 1000)"
    )
    command.set_defaults(run=pool)


def _add_presets(commands: Commands) -> None:
    for name, text, function in (
        ("preset", "apply a preset to params.yaml, comments kept; without a name, list them", preset),
        ("run", "run a preset as a DVC experiment, or as one a fold", run),
    ):
        command = add(commands, name, text)
        command.add_argument(
            "preset",
            nargs="?" if function is preset else None,
            help="its name, such as cheng-folds, which is presets/cheng-folds.yaml",
        )
        command.add_argument(
            "--data",
            type=Path,
            metavar="FOLDER",
            help="folder that holds the files which the preset names (default: it needs none)",
        )
        command.add_argument(
            "-S",
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="change a param too; may stand several times",
        )
        command.set_defaults(run=function)
    command.add_argument(
        "--folds",
        action="store_true",
        help="run each fold of the cross-validation, as many as preprocess.folds says (default: one run)",
    )
    command.add_argument(
        "--logs", type=Path, default=InProject("runs"), metavar="FOLDER", help="folder for their logs (default: runs)"
    )


def summary(args: argparse.Namespace) -> None:
    """Print what the run in this folder came to, whether its bits are the commit's, and which page to open."""
    # Here and not at the top: DVC and pandas take a second to import.
    from brainmri.comparison.headline import headline, pages
    from brainmri.project import presets

    preset = presets.of_run(args.root, read_sections(args.root / "params.yaml"))
    print(f"\n{headline(args.root)}" + (f"\nParams: preset {preset}" if preset else ""))
    print_bits(args.root)
    print(pages(args.root))


def print_bits(root: Path) -> None:
    """Say whether the run in a folder wrote the commit's bits; where it did not, compare the metrics as well."""
    state, origins = reproducibility.state(root), reproducibility.changed_since_commit(root)
    if not origins:
        print(f"Bits: {state}")
        return
    # Here and not at the top: DVC, pandas and SciPy take a second to import.
    from brainmri.comparison.compare import compare
    from brainmri.comparison.compare_document import as_blocks, as_comment

    results_file = root / "results/phantom.json"
    recorded = read_json(results_file, published.Run).get("machine") if results_file.exists() else None
    print(
        f"\nFrom the same code, params and data as the commit's run, {', '.join(origin.stage for origin in origins)} "
        "wrote other bytes, so the processor, the number of threads or the versions must differ. "
        + (f"The recorded default run had {recorded}. " if recorded else "")
        + f"This is {reproducibility.processor()}. The metrics, with intervals:\n"
    )
    print(as_comment(as_blocks(compare(root, "HEAD"))), end="")


def preset(args: argparse.Namespace) -> None:
    """Apply a preset to params.yaml, or say which there are."""
    # Here and not at the top: DVC takes a second to import.
    from brainmri.project import presets

    if args.preset is None:
        print("\n".join(f"{name}: {said}" for name, said in presets.names(args.root).items()))
        return
    presets.apply(args.root, args.preset, args.data, args.set, models())
    print(f"params.yaml: now that of preset {args.preset}; `git checkout params.yaml` brings the commit's back")


def run(args: argparse.Namespace) -> None:
    """Run a preset as an experiment, or as one a fold, and say what can be done with it."""
    # Here and not at the top: DVC takes a second to import.
    from brainmri.project import presets

    failures = presets.run(args.root, args.preset, args.data, args.set, args.folds, models(), args.logs)
    if failed := [name for name, failure in failures.items() if failure]:
        raise ArtifactError(
            f"run: {len(failed)} of {len(failures)} failed, {', '.join(failed)}; their logs are in {args.logs}, and "
            "the same command runs them alone"
        )
    if args.folds:
        print(f"\nAll folds as one, out of fold:\n    brainmri pool {' '.join(failures)}")
    else:
        (name,) = failures
        print(
            f"\nWhat changed, and its files in this folder:\n    brainmri compare HEAD {name}\n    dvc exp apply {name}"
        )


def sweep(args: argparse.Namespace) -> None:
    """Run the pipeline for each combination of a grid, and say what the validation images say of them."""
    # Here and not at the top: DVC and matplotlib take a second to import.
    from brainmri.comparison.grid import combinations
    from brainmri.comparison.sweep import require_all, sweep

    trials = sweep(args.root, combinations(args.grid), models(), args.out)
    print(f"\n{(args.out / 'sweep.md').read_text()}", end="")
    require_all(trials, args.out)


def pool(args: argparse.Namespace) -> None:
    """Pool the folds of a cross-validation, and say what they come to."""
    # Here and not at the top: DVC and pandas take a second to import.
    from brainmri.project import cross_validation

    print(cross_validation.as_text(cross_validation.pool(args.root, args.runs, args.seed, args.bootstrap, args.out)))
