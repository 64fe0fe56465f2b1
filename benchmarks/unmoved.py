"""Whether answers move under what leaves a scan the same: frames, labels, padding, extreme values, other bit depths.

Each disturbance makes two files of one slice, without and with it. The trained classifier and U-Net see both, by the
code of prediction; the table says how many classes change and how well the two outlines agree (Dice, median over the
slices with an outline, on the file's own pixels).
"""

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pandas as pd

from benchmarks.common import table
from brainmri.core.manifest import read_manifest
from brainmri.core.shards import read_images
from brainmri.prediction.answer import prepared
from brainmri.prediction.inputs import Named, read_one
from brainmri.prediction.trained_models import Models, load_models
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.images import from_square
from brainmri.segmentation.methods import outline

Disturbance = Callable[[np.ndarray], tuple[Named, Named]]  # without and with it

_AS_SHOWN = np.diag([-1.0, -1.0, 5.0, 1.0])  # axes of a NIfTI file whose slice is shown as it is stored


def picture(pixels: np.ndarray, suffix: str = ".png", *settings: int) -> Named:
    """Return pixels (H, W) as the file of a picture."""
    return f"scan{suffix}", bytes(cv2.imencode(suffix, pixels, settings)[1])


def volume(pixels: np.ndarray) -> Named:
    """Return pixels (H, W) as a NIfTI file of one slice."""
    image = nibabel.Nifti1Image(pixels.T[..., None], _AS_SHOWN)
    image.header.set_xyzt_units("mm")
    place = io.BytesIO()
    image.to_file_map({"image": nibabel.FileHolder(fileobj=place)})
    return "scan.nii", place.getvalue()


def framed(scan: np.ndarray, level: int, width: int) -> np.ndarray:
    """Return a scan whose outermost pixels are a frame."""
    result = np.full_like(scan, level)
    result[width:-width, width:-width] = scan[width:-width, width:-width]
    return result


def lined(scan: np.ndarray) -> np.ndarray:
    """Return a scan with a white rectangle drawn on it, 3 px inside of its border."""
    end = (scan.shape[1] - 4, scan.shape[0] - 4)
    return np.asarray(cv2.rectangle(scan.copy(), (3, 3), end, 255, 1))


def labelled(scan: np.ndarray, level: int) -> np.ndarray:
    """Return a scan with a block in its corner."""
    result = scan.copy()
    result[4:16, 4:16] = level
    return result


def outside(scan: np.ndarray) -> np.ndarray:
    """Return what is outside of a round field of view, (H, W) bool: the corners."""
    height, width = scan.shape
    y, x = np.ogrid[:height, :width]
    round_: np.ndarray = np.hypot(y - height / 2, x - width / 2) > 0.62 * max(height, width)
    return round_


def with_voxel(scan: np.ndarray, value: float) -> np.ndarray:
    """Return a scan as float32 with one extreme voxel in the middle."""
    result = scan.astype(np.float32) * np.float32(1.7)
    result[len(scan) // 2, len(scan) // 2] = value
    return result


def wider(scan: np.ndarray, level: int) -> np.ndarray:
    """Return a scan with a border of a twentieth of its height added all around."""
    return np.pad(scan, round(0.05 * len(scan)), constant_values=level)


def padded(scan: np.ndarray, value: float, kind: type, write: Callable[[np.ndarray], Named]) -> tuple[Named, Named]:
    """Return a scan of a round field of view in the levels of a kind, black and padded with a value outside of it."""
    deep: np.ndarray = scan.astype(kind) * 8
    gone = outside(scan)
    return write(np.where(gone, 0, deep).astype(kind)), write(np.where(gone, value, deep).astype(kind))


DISTURBANCES: dict[str, Disturbance] = {
    "white frame of 1 px": lambda s: (picture(s), picture(framed(s, 255, 1))),
    "grey frame of 3 px": lambda s: (picture(s), picture(framed(s, 110, 3))),
    "white frame of 2 px, as JPEG": lambda s: (picture(s), picture(framed(s, 255, 2), ".jpg", 1, 85)),
    "white frame of 5 %, added": lambda s: (picture(wider(s, 0)), picture(wider(s, 255))),
    "white line inside the border": lambda s: (picture(s), picture(lined(s))),
    "16 bits of 11": lambda s: (picture(s), picture(s.astype(np.uint16) * 8)),
    "saturated label, 16 bits of 11": lambda s: (picture(s), picture(labelled(s.astype(np.uint16) * 8, 65535))),
    "white label on a dark scan, 8 bits": lambda s: (picture(s // 4), picture(labelled(s // 4, 255))),
    "white label on a dark scan, JPEG": lambda s: (picture(s // 4), picture(labelled(s // 4, 255), ".jpg", 1, 85)),
    "extreme voxel of 1e6, float NIfTI": lambda s: (picture(s), volume(with_voxel(s, 1e6))),
    "extreme voxel of -1e30, float NIfTI": lambda s: (picture(s), volume(with_voxel(s, -1e30))),
    "padding of -32768, int16 NIfTI": lambda s: padded(s, -32768, np.int16, volume),
    "padding of -1000, float NIfTI": lambda s: padded(s, -1000, np.float32, volume),
    "padding of 63536, 16-bit picture": lambda s: padded(s, 63536, np.uint16, picture),
}


def run(models: Models, scans: Sequence[np.ndarray]) -> str:
    """Return a row for each disturbance of slices (H, W) uint8."""
    rows = []
    for name, disturb in DISTURBANCES.items():
        plain, disturbed = zip(*map(disturb, scans), strict=True)
        (label, mask), (other, moved) = (_answers(files, models) for files in (plain, disturbed))
        dice = [_dice(one, two) for one, two in zip(mask, moved, strict=True) if one.any()]
        rows.append(
            [name, f"{int((label != other).sum())} of {len(scans)}", f"{np.median(dice):.3f}", f"{min(dice):.3f}"]
        )
    return table(["disturbance", "classes that change", "outlines, median Dice", "lowest"], rows)


def _answers(files: Sequence[Named], models: Models) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the number of the class of each file, and the outline on its own pixels."""
    from brainmri.models.classifier import class_probabilities

    scans = [read_one(file) for file in files]
    made = [prepared(scan, models.image_params) for scan in scans]
    images = np.concatenate([images for images, _ in made])
    labels = class_probabilities(models.classifier, images, pd.concat([facts for _, facts in made])).argmax(axis=1)
    masks = outline("unet", images, models.tools)
    shapes = [scan.levels.shape[1:] for scan in scans]
    return labels, [from_square(m, s, models.image_params.fit) for m, s in zip(masks, shapes, strict=True)]


def _dice(one: np.ndarray, two: np.ndarray) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


def slices_of_test(raw: Path, every: int) -> list[np.ndarray]:
    """Return every so many of the test slices of a set, (H, W) uint8; planted copies are left out."""
    rows = read_manifest(raw)
    rows = rows[(rows["split"] == "test") & ~rows["path"].str.contains("_twin")].iloc[::every]
    return [decode(data)[0] for _, data, _ in read_images(raw, rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="folder that fetch wrote")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of classifier and unet")
    parser.add_argument("--every", type=int, default=1, help="only every so many of the test slices")
    args = parser.parse_args()
    models = load_models(args.models / "classifier", args.models / "unet")
    print(run(models, slices_of_test(args.raw, args.every)))


if __name__ == "__main__":
    main()
