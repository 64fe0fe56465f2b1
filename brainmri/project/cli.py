"""The one command, `brainmri`."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from brainmri.core.errors import ArtifactError, InputError, exit_on_error
from brainmri.core.files import read_json
from brainmri.core.labels import NOT_CLINICAL
from brainmri.core.params import Section, read_sections
from brainmri.project import lock, published, recording, reproducibility, results
from brainmri.segmentation.methods import AUTO, METHODS, NONE, choices

PARAMS_HELP = "file of params (default: the project's params.yaml)"


def models() -> dict[str, type[Section]]:
    """Return the typed model of each section of `params.yaml`."""
    from stages import check_params  # here and not at the top: pandas, OpenCV and scikit-learn take seconds to import

    return check_params.MODELS


def check_params(args: argparse.Namespace) -> None:
    """Check every section of `params.yaml`, and name all problems of all of them."""
    from stages import check_params  # see above

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


def verify_bits(args: argparse.Namespace) -> None:
    """Run the pipeline in two clean clones, and fail where they wrote different bits."""
    settings = [*(reproducibility.SMALL if args.small else ()), *args.set]
    with TemporaryDirectory() as folder:
        print(reproducibility.verify(args.root, settings, args.keep or Path(folder)))


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


def share(args: argparse.Namespace) -> None:
    """Push to the remote, pull from it, or say whether it can be read and written."""
    # Here and not at the top: DVC takes a second to import.
    from brainmri.project import sharing

    print(
        {"push": sharing.push, "pull": sharing.pull, "remote-check": sharing.check}[args.name](args.root, args.remote)
    )


def sweep(args: argparse.Namespace) -> None:
    """Run the pipeline for each combination of a grid, and say what the validation images say of them."""
    # Here and not at the top: DVC and matplotlib take a second to import.
    from brainmri.comparison.grid import combinations
    from brainmri.comparison.sweep import require_all, sweep

    trials = sweep(args.root, combinations(args.grid), models(), args.out)
    print(f"\n{(args.out / 'sweep.md').read_text()}", end="")
    require_all(trials, args.out)


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


def pool(args: argparse.Namespace) -> None:
    """Pool the folds of a cross-validation, and say what they come to."""
    # Here and not at the top: DVC and pandas take a second to import.
    from brainmri.project import cross_validation

    print(cross_validation.as_text(cross_validation.pool(args.root, args.runs, args.seed, args.bootstrap, args.out)))


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


def predict(args: argparse.Namespace) -> None:
    """Answer for scans; fail at the end where some could not be read."""
    # Here and not at the top: TensorFlow takes seconds to import.
    from brainmri.prediction import scan_batch
    from brainmri.prediction.trained_models import load_models

    kmeans = args.method in METHODS and not METHODS[args.method].needs_unet
    with _model_folders(args) as (classifier, unet, params):
        # A params.yaml that happens to lie here is nobody's business unless it is needed.
        trained = load_models(classifier, unet, params if kmeans else args.params)
    if kmeans:
        released = "the released model" if args.model else params
        print(f"note: K-means takes its params from {args.params or released or 'the package'}", file=sys.stderr)
    answered, unreadable = scan_batch.run(args.paths, trained, args.method, args.gate, args.json, args.out)
    if unreadable:
        raise InputError(f"{unreadable} of {answered + unreadable} could not be read, see above")


@contextmanager
def _model_folders(args: argparse.Namespace) -> Iterator[tuple[Path, Path | None, Path | None]]:
    """Give the folders of the classifier and of a U-Net, and the file of K-means' params, None where there is none.

    What was typed comes first; then a released model's own, then the project's. A U-Net of the project does not join a
    classifier from elsewhere.
    """
    from brainmri.prediction import released

    if args.model is None and args.sha256 is not None:
        raise InputError("--sha256: should stand with --model, whose archive it is of, received none")
    if args.model is not None:
        if args.classifier or args.unet:
            raise InputError("--model: should stand without --classifier and --unet, received both; it holds the two")
        with released.opened(args.model, args.sha256) as own:
            yield own.classifier, own.unet, args.params or own.params
        return
    own_unet, own_params = args.root / "models/unet", args.root / "params.yaml"
    unet = None if args.classifier or not own_unet.exists() else own_unet
    yield (
        args.classifier or args.root / "models/classifier",
        args.unet or unet,
        args.params or (own_params if own_params.exists() else None),
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


def completion(args: argparse.Namespace) -> None:
    """Print the completion of a shell."""
    import shtab

    print(shtab.complete(parser(), args.shell))


def check(args: argparse.Namespace) -> None:
    """Print what is to be known of a set; fail where a run would be refused."""
    # Here and not at the top: pandas and OpenCV take a second to import.
    from brainmri.project.check import as_text, check

    result = check(args.paths, args.params, args.root)
    print(json.dumps(result, indent=2, sort_keys=True, allow_nan=False) if args.json else as_text(result))
    if result["refused"]:
        raise InputError("a run would be refused, see above")


class InProject(NamedTuple):
    """The default of a path: a place in the project's folder, which `--root` names. Paths that are typed are not."""

    place: str


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
    top.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: this one)")
    top.add_argument("--version", action="version", version=f"brainmri {_version()}", help="print the version and exit")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("check-params", help="check every section of params.yaml")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"), help=PARAMS_HELP)
    command.set_defaults(run=check_params)
    command = commands.add_parser("verify-lock", help="check that dvc.yaml and dvc.lock are true to the code")
    command.add_argument("--write", action="store_true", help="first write the deps that are code")
    command.set_defaults(run=verify_lock)
    command = commands.add_parser("verify-bits", help="run the pipeline in two clean clones, and compare every byte")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a param to change in both")
    command.add_argument("--small", action="store_true", help="with a small set and small networks: minutes")
    command.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the clones there (default: remove them)")
    command.set_defaults(run=verify_bits)
    command = commands.add_parser(
        "summary", help="say what the run here came to, and whether its bits are the commit's"
    )
    command.set_defaults(run=summary)
    command = commands.add_parser("record", help="keep this run's metrics, params, commit and versions as a result")
    command.add_argument("name", help="how docs/results.md calls the run")
    command.add_argument("command_line", help="the command that made it, without private paths")
    command.add_argument("out", type=Path, help="JSON file to write, such as results/nickparvar-cnn.json")
    command.add_argument(
        "--pooled", type=Path, metavar="FOLDER", help="what `brainmri pool` wrote, instead of this run"
    )
    command.set_defaults(run=record)
    command = commands.add_parser("readme", help="write the tables and the chart of README and docs anew from results/")
    command.set_defaults(run=readme)
    command = commands.add_parser("compare", help="say what changed between two revisions, and if more than chance")
    command.add_argument("rev_a", metavar="REV_A", help="commit, branch, tag or DVC experiment")
    command.add_argument("rev_b", metavar="REV_B", nargs="?", default="workspace", help="another (default: workspace)")
    command.add_argument("--json", action="store_true", help="everything, as JSON (default: Markdown)")
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    command.add_argument("--bootstrap", type=int, default=1000, help="resamples, at least 100 (default: 1000)")
    command.add_argument("--fail-on-drop", type=float, metavar="X", help="exit 1 where a score surely fell by more")
    command.add_argument("--out", type=Path, help="folder to write: report.html, report.md and charts, summary.md")
    command.add_argument(
        "--names", nargs=2, metavar=("A", "B"), help="how to call the two (default: as they are given)"
    )
    command.set_defaults(run=compare)
    for name, text in (
        ("push", "push all that colleagues need, and look whether it arrived"),
        ("pull", "get what this commit and these params lead to, and run nothing heavy"),
        ("remote-check", "say whether the remote can be read and written"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--remote", metavar="NAME", help="DVC's name of the remote (default: its default one)")
        command.set_defaults(run=share, name=name)
    command = commands.add_parser("sweep", help="run a grid of params as experiments, and rank them on validation")
    command.add_argument("grid", help="such as 'train.dropout=0,0.2 train.learning_rate=0.001,0.002'")
    command.add_argument("--out", type=Path, default=InProject("sweep"), help="folder to write (default: sweep)")
    command.set_defaults(run=sweep)
    for name, text, function in (
        ("preset", "apply a preset to params.yaml, comments kept; without a name, list them", preset),
        ("run", "run a preset as a DVC experiment, or as one a fold", run),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "preset", nargs="?" if function is preset else None, help="such as cheng-folds, of presets/cheng-folds.yaml"
        )
        command.add_argument("--data", type=Path, help="folder that holds the files which the preset names")
        command.add_argument("-S", "--set", action="append", default=[], metavar="KEY=VALUE", help="a param to change")
        command.set_defaults(run=function)
    command.add_argument(
        "--folds", action="store_true", help="each fold of the cross-validation, as preprocess.folds says"
    )
    command.add_argument("--logs", type=Path, default=InProject("runs"), help="folder for their logs (default: runs)")
    command = commands.add_parser("pool", help="score the folds of a cross-validation as one, out of fold")
    command.add_argument("runs", nargs="+", metavar="REV", help="one a fold: commit, branch, tag or DVC experiment")
    command.add_argument("--out", type=Path, default=InProject("pooled"), help="folder to write (default: pooled)")
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    command.add_argument("--bootstrap", type=int, default=1000, help="resamples (default: 1000)")
    command.set_defaults(run=pool)
    command = commands.add_parser("suspects", help="list the training labels that may be wrong")
    command.add_argument("processed", type=Path, help="folder that preprocess wrote, such as data/processed")
    command.add_argument("out", type=Path, help="folder to write; it holds scans")
    command.add_argument("--folds", type=int, default=5, help="networks to train (default: 5)")
    command.add_argument("--epochs", type=int, default=12, help="of each (default: 12)")
    command.add_argument("--seed", type=int, default=0, help="of the folds and the networks (default: 0)")
    command.set_defaults(run=suspects)
    command = commands.add_parser("predict", help="answer for scans: class, probabilities, outline of the tumour")
    command.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="pictures, DICOM, NIfTI, folders, archives"
    )
    command.add_argument(
        "--model", metavar="ARCHIVE|URL", help="a released model, in the place of --classifier and --unet"
    )
    command.add_argument("--sha256", help="of the archive that --model names; needed with an address")
    command.add_argument("--classifier", type=Path, help="folder that train wrote (default: the project's)")
    command.add_argument(
        "--unet", type=Path, help="folder that train_unet wrote (default: the project's, with the project's classifier)"
    )
    command.add_argument(
        "--method",
        choices=choices(),
        default=AUTO,
        help=f"of outlining; {AUTO} (the default) is the U-Net where there is one, and {NONE} otherwise",
    )
    command.add_argument(
        "--no-gate", dest="gate", action="store_false", help="outline where notumor is surely answered, too"
    )
    command.add_argument("--json", action="store_true", help="a line of JSON a scan (default: a table)")
    command.add_argument("--out", type=Path, help="folder to write: masks, overlays, results.csv, results.jsonl")
    command.add_argument(
        "--params",
        type=Path,
        help="of the K-means methods (default: the released model's, else the project's, else the package's)",
    )
    command.set_defaults(run=predict)
    command = commands.add_parser("release", help="write an archive of the trained models for others, with their card")
    command.add_argument(
        "--out",
        type=Path,
        default=InProject("release/brainmri-model.zip"),
        help="file to write (default: release/brainmri-model.zip)",
    )
    command.set_defaults(run=release)
    command = commands.add_parser("check", help="look at a set of images before hours of training")
    command.add_argument("paths", type=Path, nargs="+", metavar="SET", help="folder, .zip, .tar or manifest CSV")
    command.add_argument("--json", action="store_true", help="everything, as JSON (default: text)")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"), help=PARAMS_HELP)
    command.set_defaults(run=check)
    command = commands.add_parser("completion", help="print what makes a shell complete commands and options")
    command.add_argument("shell", choices=("bash", "zsh"), help="whose, such as bash")
    command.set_defaults(run=completion)
    return top


def _version() -> str:
    try:
        return version("brainmri")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
