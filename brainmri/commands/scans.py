"""`brainmri predict`: answers for scans, and where the models come from that give them."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brainmri.commands.arguments import Commands, add
from brainmri.core.errors import InputError
from brainmri.segmentation.methods import AUTO, METHODS, NONE, choices


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    command = add(commands, "predict", "answer for scans: class, probabilities, outline of the tumour")
    command.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a picture, a DICOM or NIfTI file, or a folder or an archive of these",
    )
    _add_models(command)
    titles = "; ".join(f"{name}: {method.title}" for name, method in METHODS.items())
    command.add_argument(
        "--method",
        choices=choices(),
        default=AUTO,
        help=f"how the tumour is outlined: {titles}; {NONE}; {AUTO} (default): U-Net where there is one, else {NONE}",
    )
    command.add_argument(
        "--no-gate",
        dest="gate",
        action="store_false",
        help="keep an outline where the classifier is sure that there is no tumour (default: empty it)",
    )
    command.add_argument("--json", action="store_true", help="print a line of JSON for each scan (default: a table)")
    command.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder to write masks, overlays, results.csv and results.jsonl to (default: none)",
    )
    command.set_defaults(run=predict)


def _add_models(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        metavar="ARCHIVE|URL",
        help="a released model, instead of --classifier and --unet (default: the project's models)",
    )
    command.add_argument(
        "--sha256", metavar="HEX", help="checksum of the archive that --model names; needed with an address"
    )
    command.add_argument(
        "--classifier", type=Path, metavar="FOLDER", help="folder that train wrote (default: the project's)"
    )
    command.add_argument(
        "--unet",
        type=Path,
        metavar="FOLDER",
        help="folder that train_unet wrote (default: the project's, with the project's classifier)",
    )
    command.add_argument(
        "--params",
        type=Path,
        metavar="FILE",
        help="params of the K-means methods (default: the released model's, else the project's, else the package's)",
    )


def predict(args: argparse.Namespace) -> None:
    """Answer for scans; fail at the end where some could not be read."""
    # Here and not at the top: TensorFlow takes seconds to import.
    from brainmri.prediction import scan_batch
    from brainmri.prediction.trained_models import load_models

    kmeans = args.method in METHODS and not METHODS[args.method].needs_unet
    with model_folders(args) as (classifier, unet, params):
        # A params.yaml that happens to lie here is nobody's business unless it is needed.
        trained = load_models(classifier, unet, params if kmeans else args.params)
    if kmeans:
        released = "the released model" if args.model else params
        print(f"note: K-means takes its params from {args.params or released or 'the package'}", file=sys.stderr)
    answered, unreadable = scan_batch.run(args.paths, trained, args.method, args.gate, args.json, args.out)
    if unreadable:
        raise InputError(f"{unreadable} of {answered + unreadable} could not be read, see above")


@contextmanager
def model_folders(args: argparse.Namespace) -> Iterator[tuple[Path, Path | None, Path | None]]:
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
