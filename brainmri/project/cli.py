"""The one command, `brainmri`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from brainmri.core.errors import ArtifactError, InputError, ParamsError, exit_on_error
from brainmri.core.files import read_json
from brainmri.core.labels import NOT_CLINICAL
from brainmri.core.params import Section, load
from brainmri.project import lock, reproducibility, results
from brainmri.segmentation.methods import METHODS, NONE, needs_unet

METHOD = "unet"  # of outlining, where none is asked for


def models() -> dict[str, type[Section]]:
    """Return the typed model of each section of `params.yaml`."""
    # Here and not at the top: train brings TensorFlow, which takes seconds to import.
    from stages import augment, evaluate, fetch, preprocess, probe, segment, train, train_unet

    stages = (fetch, preprocess, probe, augment, train, train_unet, evaluate, segment)
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
        results.record_pooled(args.pooled, args.name, args.command_line, args.out)
    else:
        results.record(args.root, args.name, args.command_line, args.out)


def readme(args: argparse.Namespace) -> None:
    """Write the tables of the README and of docs/results.md, and the chart of docs/patients.md, from `results/`."""
    # Here and not at the top: Matplotlib takes a second to import.
    from brainmri.project import patients_chart

    for page, text in results.pages(args.root).items():
        page.write_text(text)
    runs, others = results.published(args.root)
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


def same_bits(args: argparse.Namespace) -> None:
    """Say so where the run in this folder wrote other bits than the commit's, and compare the metrics instead."""
    origins = reproducibility.changed_since_commit(args.root)
    if not origins:
        return
    # Here and not at the top: DVC, pandas and SciPy take a second to import.
    from brainmri.comparison.compare import compare
    from brainmri.comparison.compare_document import as_blocks, as_comment

    results_file = args.root / "results/phantom.json"
    recorded = read_json(results_file).get("machine") if results_file.exists() else None
    print(
        f"\nFrom the same code, params and data as the commit's run, {', '.join(origin.stage for origin in origins)} "
        "wrote other bytes, so the processor, the number of threads or the versions must differ. "
        + (f"The recorded default run had {recorded}. " if recorded else "")
        + f"This is {reproducibility.processor()}. The metrics, with intervals:\n"
    )
    print(as_comment(as_blocks(compare(args.root, "HEAD"))), end="")


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


def external(args: argparse.Namespace) -> None:
    """Score a trained classifier on a set from elsewhere."""
    # Here and not at the top: it brings TensorFlow, which takes seconds to import.
    from brainmri.project.external import as_table, score
    from stages import fetch

    kind = "manifest" if args.set.suffix.lower() == ".csv" else "classes"
    place = dict.fromkeys(fetch.LocalParams.model_fields) | {kind: str(args.set)}
    section = load(args.params, "fetch", fetch.Params)
    section = section.model_copy(update={"source": "local", "channel": None, "local": fetch.LocalParams(**place)})
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        fetch.run(section, scratch / "raw")
        limits = (args.twin_threshold, args.neighbour_threshold)
        result = score(args.model, args.train, scratch / "raw", scratch, *limits, args.seed, args.bootstrap)
    command = f"brainmri external {args.model.name} {args.train.name} {args.set.name}"  # no private paths
    name = args.name or f"{args.model.name} scored on {args.set.name}"
    results.record_external(args.root, name, command, result, args.out)
    print(as_table(result))


def predict(args: argparse.Namespace) -> None:
    """Answer for scans; fail at the end where some could not be read."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says much that is of no use to whoever asks this
    from brainmri.prediction import scan_batch
    from brainmri.prediction.trained_models import load_models

    trained = load_models(args.classifier, args.unet if needs_unet(args.method) else None, args.params)
    answered, unreadable = scan_batch.run(args.paths, trained, args.method, args.gate, args.json, args.out)
    if unreadable:
        raise InputError(f"{unreadable} of {answered + unreadable} could not be read, see above")


def check(args: argparse.Namespace) -> None:
    """Print what is to be known of a set; fail where a run would be refused."""
    # Here and not at the top: pandas and OpenCV take a second to import.
    from brainmri.project.check import as_text, check

    result = check(args.paths, args.params)
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
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("check-params", help="check every section of params.yaml")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"))
    command.set_defaults(run=check_params)
    command = commands.add_parser("verify-lock", help="check that dvc.yaml and dvc.lock are true to the code")
    command.add_argument("--write", action="store_true", help="first write the deps that are code")
    command.set_defaults(run=verify_lock)
    command = commands.add_parser("verify-bits", help="run the pipeline in two clean clones, and compare every byte")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a param to change in both")
    command.add_argument("--small", action="store_true", help="with a small set and small networks: minutes")
    command.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the clones there (default: remove them)")
    command.set_defaults(run=verify_bits)
    command = commands.add_parser("same-bits", help="say so where the run here wrote other bits than the commit's")
    command.set_defaults(run=same_bits)
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
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=suspects)
    command = commands.add_parser("external", help="score a trained classifier on a set from elsewhere")
    command.add_argument("model", type=Path, help="folder that train wrote, such as models/classifier")
    command.add_argument("train", type=Path, help="its training images, such as data/processed/train")
    command.add_argument("set", type=Path, help="folder, .zip, .tar or manifest CSV of images with classes")
    command.add_argument("--out", type=Path, required=True, help="JSON file to write")
    command.add_argument("--name", help="how docs/results.md calls it (default: made of the two names)")
    command.add_argument("--twin-threshold", type=float, default=0.98, help="as in params.yaml (default: 0.98)")
    command.add_argument("--neighbour-threshold", type=float, default=0.94, help="likewise (default: 0.94)")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"))
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    command.add_argument("--bootstrap", type=int, default=1000, help="resamples (default: 1000)")
    command.set_defaults(run=external)
    command = commands.add_parser("predict", help="answer for scans: class, probabilities, outline of the tumour")
    command.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="pictures, DICOM, NIfTI, folders, archives"
    )
    command.add_argument(
        "--classifier", type=Path, default=InProject("models/classifier"), help="folder that train wrote"
    )
    command.add_argument("--unet", type=Path, default=InProject("models/unet"), help="folder that train_unet wrote")
    named = ", ".join(f"{name} (the default)" if name == METHOD else name for name in reversed(METHODS))
    command.add_argument("--method", default=METHOD, help=f"of outlining: {named} or {NONE}")
    command.add_argument("--no-gate", dest="gate", action="store_false", help="outline where notumor is answered, too")
    command.add_argument("--json", action="store_true", help="a line of JSON a scan (default: a table)")
    command.add_argument("--out", type=Path, help="folder to write: masks, overlays, results.csv, results.jsonl")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"), help="for the K-means methods alone")
    command.set_defaults(run=predict)
    command = commands.add_parser("check", help="look at a set of images before hours of training")
    command.add_argument("paths", type=Path, nargs="+", metavar="SET", help="folder, .zip, .tar or manifest CSV")
    command.add_argument("--json", action="store_true", help="everything, as JSON (default: text)")
    command.add_argument("--params", type=Path, default=InProject("params.yaml"))
    command.set_defaults(run=check)
    return top


if __name__ == "__main__":
    main()
