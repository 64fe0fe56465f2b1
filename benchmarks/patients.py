"""How well slices of the Cheng set are recognised, and how the table of them was made.

`--masks` takes the set (`images/<n>.png`, `masks/<n>.png`: a folder or an archive) and prints, change by change, how
many of its slices still get their own person; with `--slices` (CSV: number, label, patient, fold) it writes the table
of facts to `--out` instead. With `--manifest` it writes a folder of the set with `cheng.csv`, a manifest for
`fetch.local.manifest` in which every slice has the class it is recognised by: the set itself names none. `--raw` takes
a folder that fetch wrote and prints what is recognised in it. Without either, simulated slices are looked up, of which
none should be found. The tables of docs/patients.md are made so.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.twins import cropped, jpeg
from brainmri.core import shards
from brainmri.core.files import new_directory, write_table
from brainmri.core.manifest import read_manifest
from brainmri.core.params import load
from brainmri.phantom.simulated_set import simulate
from brainmri.preprocessing import duplicates, known_patients
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import eight_bit, to_square
from brainmri.preprocessing.scans import scan_of
from brainmri.sources import local
from stages import fetch

SIDE = 128  # px, that of the default grid
WINDOWS = ImageParams(size=SIDE, fit="pad", window_source="percentile", windows=[[1, 99], [1, 75], [50, 99.8]])


def small(picture: np.ndarray) -> np.ndarray:
    return duplicates.thumbnail(to_square(np.ascontiguousarray(picture), SIDE, "pad")[0])


def resized(picture: np.ndarray, side: int, how: int = cv2.INTER_AREA) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=how)


def gamma(picture: np.ndarray, exponent: float) -> np.ndarray:
    return cv2.LUT(picture, np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8))


def window(picture: np.ndarray, channel: int) -> np.ndarray:
    return scan_of(picture, "L", WINDOWS).channels[..., channel]


def padded(picture: np.ndarray, share: float) -> np.ndarray:
    rim = round(share * len(picture))
    return cv2.copyMakeBorder(picture, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=0)


def moved(picture: np.ndarray, down: float, right: float, degrees: float = 0) -> np.ndarray:
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    matrix[:, 2] += right, down
    return cv2.warpAffine(picture, matrix, (width, height))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda picture: picture,
    "mirrored": lambda picture: picture[:, ::-1],
    "JPEG of quality 95": lambda picture: jpeg(picture, 95),
    "JPEG of quality 50": lambda picture: jpeg(picture, 50),
    "128 px": lambda picture: resized(picture, 128),
    "199 px": lambda picture: resized(picture, 199, cv2.INTER_LINEAR),
    "333 px": lambda picture: resized(picture, 333, cv2.INTER_CUBIC),
    "512 px": lambda picture: resized(picture, 512, cv2.INTER_LINEAR),
    "150 px, JPEG of quality 70": lambda picture: jpeg(resized(picture, 150), 70),
    "window of percentiles 1 to 99": lambda picture: window(picture, 0),
    "window of percentiles 1 to 75": lambda picture: window(picture, 1),
    "window of percentiles 50 to 99.8": lambda picture: window(picture, 2),
    "gamma 0.7": lambda picture: gamma(picture, 0.7),
    "gamma 1.4": lambda picture: gamma(picture, 1.4),
    "mirrored, 224 px, gamma 0.8, JPEG of quality 60": lambda picture: jpeg(
        gamma(resized(picture[:, ::-1], 224), 0.8), 60
    ),
    "turned by 1 degree": lambda picture: moved(picture, 0, 0, 1),
    "moved by 2 and 1 px": lambda picture: moved(picture, -2, 1),
    "moved by 2 and 2 px": lambda picture: moved(picture, 2, 2),
    "cropped by 1 % at each side": lambda picture: cropped(picture, 0.01, 0.01, 0.01, 0.01),
    "cropped by 2 % at each side": lambda picture: cropped(picture, 0.02, 0.02, 0.02, 0.02),
    "padded by 1 % at each side": lambda picture: padded(picture, 0.01),
    "padded by 2 % at each side": lambda picture: padded(picture, 0.02),
    "padded by 5 % at each side": lambda picture: padded(picture, 0.05),
}


def slices(masks: Path) -> Iterator[tuple[int, np.ndarray]]:
    with local.opened_layout(masks, "masks", None) as source:
        for image in source.images:
            yield image.number, eight_bit(decode(source.read(image.path))[0])


def write(masks: Path, facts: Path, out: Path) -> None:
    table = pd.read_csv(facts).set_index("number")
    found = [(number, small(picture)) for number, picture in slices(masks)]
    rows = table.loc[[number for number, _ in found]].reset_index()
    write_table(out, known_patients.table_of(rows, np.stack([vector for _, vector in found]), "cheng-"))


def write_manifest(masks: Path, known: pd.DataFrame, out: Path) -> None:
    """Copy the set into the new folder `out`, and list its slices there with mask and class, by number."""
    rows, pictures = [], []
    with local.opened_layout(masks, "masks", None) as source, new_directory(out) as folder:
        for image in sorted(source.images, key=lambda image: image.number):
            for kind, path in (("images", image.path), ("masks", image.mask_path)):
                (folder / kind).mkdir(exist_ok=True)
                (folder / kind / Path(path).name).write_bytes(source.read(path))
            names = {"path": f"images/{Path(image.path).name}", "mask": f"masks/{Path(image.mask_path).name}"}
            rows.append(names | {"patient": "", "split": ""})
            pictures.append(small(eight_bit(decode(source.read(image.path))[0])))
        labels = known_patients.recognise(np.stack(pictures), known)["label"]
        table = pd.DataFrame(rows).assign(label=labels)[["path", "label", "patient", "split", "mask"]]
        write_table(folder / "cheng.csv", table)
    print(
        f"{len(table)} slices, {(labels == '').sum()} of them not recognised, so without a class: {out / 'cheng.csv'}"
    )


def under_changes(masks: Path, known: pd.DataFrame) -> pd.DataFrame:
    numbers, pictures = zip(*slices(masks), strict=True)
    truth = known.set_index("number").loc[list(numbers)].reset_index()
    rows = {}
    for name, change in CHANGES.items():
        found = known_patients.recognise(np.stack([small(change(picture)) for picture in pictures]), known)
        right, any_one = found["patient"] == truth["patient"], found["patient"] != ""
        rows[name] = {
            "recall": right.mean(),
            "wrong": (any_one & ~right).sum(),
            "another slice": (right & (found["number"] != truth["number"])).sum(),
            "similarity, 1 % below": found["similarity"].quantile(0.01),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def in_set(raw: Path, known: pd.DataFrame) -> pd.DataFrame:
    table = read_manifest(raw)
    found = known_patients.recognise(
        np.stack([small(decode(data)[0]) for _, data, _ in shards.read_images(raw, table)]), known
    )
    hit = found["patient"] != ""
    train = set(found["patient"][hit & (table["split"] == "train")])
    table = table.assign(
        recognised=hit,
        same_label=hit & (found["label"] == table["label"]),
        patient_in_training=hit & found["patient"].isin(train),
        lowest=found["similarity"].where(hit),
        highest_of_others=found["similarity"].where(~hit),
    )
    return table.groupby(["set", "split", "label"]).agg(
        images=("label", "size"),
        recognised=("recognised", "sum"),
        same_label=("same_label", "sum"),
        patient_in_training=("patient_in_training", "sum"),
        lowest=("lowest", "min"),
        highest_of_others=("highest_of_others", "max"),
    )


def of_phantoms(known: pd.DataFrame) -> str:
    section = load(Path("params.yaml"), "fetch", fetch.Params).phantom
    patients = section.patients.model_copy(update={"train": 340, "test": 160})
    images = simulate(section.model_copy(update={"patients": patients, "twins": 0, "seed": 11}))
    found = known_patients.recognise(np.stack([small(decode(image.data)[0]) for image in images]), known)
    return (
        f"{len(found)} simulated slices: {(found['patient'] != '').sum()} recognised, "
        f"highest similarity {found['similarity'].max():.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=Path, help="folder or archive of the Cheng set in Kaggle's layout")
    parser.add_argument("--slices", type=Path, help="CSV of number, label, patient and fold: write the table")
    parser.add_argument("--out", type=Path, default=known_patients.TABLE)
    parser.add_argument("--manifest", type=Path, metavar="FOLDER", help="write the set with classes there")
    parser.add_argument("--raw", type=Path, help="folder that fetch wrote")
    args = parser.parse_args()
    pd.set_option("display.width", 200, "display.precision", 4, "display.max_columns", 20)
    if args.masks and args.slices:
        write(args.masks, args.slices, args.out)
    elif args.masks and args.manifest:
        write_manifest(args.masks, known_patients.read_table(), args.manifest)
    elif args.masks:
        print(under_changes(args.masks, known_patients.read_table()))
    elif args.raw:
        print(in_set(args.raw, known_patients.read_table()).to_string())
    else:
        print(of_phantoms(known_patients.read_table()))


if __name__ == "__main__":
    main()
