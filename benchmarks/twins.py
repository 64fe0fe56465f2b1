"""What the similarity of thumbnails tells: copies, slices of one patient, slices of different patients.

Prints the tables of docs/twins.md for simulated slices, or with `--raw` for copies of the images of a fetched set, and
with `--count` how long the search takes on as many generated thumbnails, and in how much memory.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.fft import idctn

from brainmri.core import shards
from brainmri.core.manifest import read_manifest
from brainmri.core.params import load
from brainmri.phantom.simulated_set import simulate
from brainmri.preprocessing import duplicates
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import eight_bit
from brainmri.preprocessing.scans import scan_of
from stages import fetch

PARAMS = ImageParams(size=128, fit="pad", window_source="percentile", windows=[[1, 99]])
QUANTILES = (0, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999, 1)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    return decode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())[0]


def rescaled(picture: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else 1)


def cropped(picture: np.ndarray, top: float, bottom: float, left: float, right: float) -> np.ndarray:
    height, width = picture.shape
    return picture[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG of quality 50": lambda picture: jpeg(picture, 50),
    "half as large": lambda picture: rescaled(picture, 0.5),
    "twice as large": lambda picture: rescaled(picture, 2),
    "cropped by 1 % at each side": lambda picture: cropped(picture, 0.01, 0.01, 0.01, 0.01),
    "cropped by 2 % at one side": lambda picture: cropped(picture, 0.02, 0, 0, 0),
    "cropped by 2 % at two sides": lambda picture: cropped(picture, 0.02, 0, 0.02, 0),
    "cropped by 2 % at each side": lambda picture: cropped(picture, 0.02, 0.02, 0.02, 0.02),
}


def both(pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the plain and the centred thumbnails, each (N, 1024)."""
    scans = [scan_of(picture, "L", PARAMS) for picture in pictures]
    plain = np.stack([duplicates.thumbnail(scan.square) for scan in scans])
    return plain, np.stack([duplicates.centred_thumbnail(scan.channels[..., 0]) for scan in scans])


def copies(pictures: Sequence[np.ndarray]) -> pd.DataFrame:
    originals = both(pictures)
    rows = {}
    for name, change in CHANGES.items():
        plain, centred = (
            (one * other).sum(1)
            for one, other in zip(originals, both([change(picture) for picture in pictures]), strict=True)
        )
        found = {f"plain {q}": value for q, value in zip(QUANTILES[:4], np.quantile(plain, QUANTILES[:4]), strict=True)}
        found |= {f"centred {q}": v for q, v in zip(QUANTILES[:4], np.quantile(centred, QUANTILES[:4]), strict=True)}
        rows[name] = found | {"found": (np.maximum(plain, centred) > 0.98).mean()}
    return pd.DataFrame.from_dict(rows, orient="index")


def patients(pictures: Sequence[np.ndarray], patient: np.ndarray, plane: np.ndarray) -> pd.DataFrame:
    """Compare slices of one plane, of one patient and of two."""
    rows = {}
    upper = np.triu_indices(len(pictures), 1)
    same_plane, same = (np.equal.outer(values, values)[upper] for values in (plane, patient))
    for name, vectors in zip(("plain", "centred"), both(pictures), strict=True):
        similarity = (vectors @ vectors.T)[upper]
        for who, chosen in (("one patient", same_plane & same), ("two patients", same_plane & ~same)):
            rows[f"{name}, {who}"] = dict(
                zip(QUANTILES[3:], np.quantile(similarity[chosen], QUANTILES[3:]), strict=True)
            )
    return pd.DataFrame.from_dict(rows, orient="index")


def search(count: int) -> str:
    """Search generated thumbnails, whose power falls with frequency as that of scans does, at 0.94."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.mgrid[:32, :32])
    vectors = np.empty((count, 1024), np.float32)
    common = rng.normal(size=(1, 32, 32))  # scans have the head in common
    for start in range(0, count, 5000):
        size = min(5000, count - start)
        drawn = (common + rng.normal(size=(size, 32, 32))) / (1 + frequency) ** 1.2
        part = idctn(drawn, axes=(1, 2)).reshape(size, -1)
        part -= part.mean(1, keepdims=True)
        vectors[start : start + size] = part / np.linalg.norm(part, axis=1, keepdims=True)
    started, used = time.perf_counter(), time.process_time()
    pairs = len(duplicates.similar_pairs(vectors, 0.94, mirror=True)[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"{count} thumbnails: {pairs} pairs in {time.perf_counter() - started:.0f} s "
        f"({time.process_time() - used:.0f} CPU s), at most {peak:.2f} GB in all"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, help="folder that fetch wrote")
    parser.add_argument("--limit", type=int, default=600, help="images to copy (default: 600)")
    parser.add_argument("--count", type=int, help="thumbnails to search")
    args = parser.parse_args()
    pd.set_option("display.width", 200, "display.precision", 3, "display.max_columns", 20)
    if args.count:
        print(search(args.count))
    elif args.raw:
        table = read_manifest(args.raw)
        rows = np.sort(np.random.default_rng(0).choice(len(table), min(args.limit, len(table)), replace=False))
        print(copies([eight_bit(decode(data)[0]) for _, data, _ in shards.read_images(args.raw, table.iloc[rows])]))
    else:
        section = load(Path("params.yaml"), "fetch", fetch.Params).phantom
        section = section.model_copy(update={"patients": section.patients.model_copy(update={"train": 32, "test": 4})})
        images = list(simulate(section.model_copy(update={"twins": 0})))
        pictures = [decode(image.data)[0] for image in images]
        print(copies(pictures))
        print(patients(pictures, np.array([i.patient for i in images]), np.array([i.plane for i in images])))


if __name__ == "__main__":
    main()
