"""How well volumes are answered for: simulated heads of patients that no run trains on, as files, or real ones.

Prints a table, a row a volume: the truth, what `brainmri.prediction.answer` says of it, and how far off the lesion's
volume is. `--scans` takes real volumes with masks instead, which are outlined whatever their class is said to be.
Simulated volumes are 1.5 mm in plane with slices of 3 mm, in each plane in turn, with Rician noise of 1 to 6 % of white
matter.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from tqdm import tqdm

from benchmarks.common import CLASSES, PARAMS, table
from brainmri.core.params import check
from brainmri.phantom import simulated_set
from brainmri.prediction.answer import Answer, answer
from brainmri.prediction.trained_models import Models, load_models
from brainmri.scoring.training_scores import dice
from brainmri.sources.slicing import read_mask

SEED = 20_000  # of other patients than any run's, whose seeds have three numbers
FIELD_MM = 1.5
SIZES = ("voxel_row_mm", "voxel_col_mm", "slice_mm")
STEP = 2  # every second plane of voxels is a slice


def volume(number: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return the class of patient `number`, a scan (I, J, K) int16, its mask, bool, and their affine."""
    rng = np.random.default_rng([SEED, number])
    params = check(PARAMS["fetch"]["phantom"], simulated_set.PhantomParams, "fetch.phantom")
    patient = simulated_set.draw_patient(rng, params, "test", number)
    image, mask, affine = simulated_set.volume(patient, FIELD_MM)
    sigma = rng.uniform(0.01, 0.06)
    image = np.hypot(image + sigma * rng.standard_normal(image.shape), sigma * rng.standard_normal(image.shape))
    across = (2, 1, 0)[number // len(CLASSES) % 3]  # axial, coronal, sagittal, four patients each
    keep = tuple(slice(None, None, STEP if axis == across else 1) for axis in range(3))
    affine[across, across] *= STEP
    return patient.label, np.rint(image[keep] * 1000).astype(np.int16), mask[keep] > 0, affine


class Case(NamedTuple):
    """A volume that was answered for."""

    name: str
    label: str
    found: Answer
    truth: np.ndarray  # (D, H, W) bool, in the slices of the answer


def in_slices(found: Answer, mask: bytes) -> np.ndarray:
    """Return a mask that is a NIfTI file as the slices of an answer, (D, H, W) bool."""
    assert found.scan.volume is not None
    return read_mask(found.scan.volume, mask).astype(bool)


def simulated(patients: int, models: Models, method: str) -> Iterator[Case]:
    """Yield simulated heads, answered for."""
    for number in range(patients):
        label, scan, truth, affine = volume(number)
        found = answer(("scan.nii", nibabel.Nifti1Image(scan, affine).to_bytes()), models, method)
        mask = nibabel.Nifti1Image(truth.astype(np.uint8), affine).to_bytes()
        yield Case(f"{number}, {found.facts['plane']}", label, found, in_slices(found, mask))


def real(folder: Path, label: str, models: Models, method: str) -> Iterator[Case]:
    """Yield the scans `<person>/<date>_Scan_*.nii.gz` of a folder, whose masks are `<person>/<date>_Mask.nii.gz`."""
    for scan in sorted(folder.glob("*/*_Scan_*.nii.gz")):
        date = scan.name.partition("_")[0]
        found = answer(scan, models, method, gate=False)
        truth = in_slices(found, scan.with_name(f"{date}_Mask.nii.gz").read_bytes())
        yield Case(f"{scan.parent.name}, {date}", label, found, truth)


def run(cases: Iterable[Case], method: str) -> str:
    """Return the table and a summary, Markdown."""
    rows, right, dices, errors, answered = [], 0, [], [], 0
    for name, label, found, truth in tqdm(cases, method, unit="volume"):
        assert found.mask is not None
        right, answered = right + (label == found.label), answered + (not found.abstain)
        voxel_ml = (
            float(np.prod([found.facts["voxel_row_mm"], found.facts["voxel_col_mm"], found.facts["slice_mm"]])) / 1000
        )
        known, given = truth.sum() * voxel_ml, found.mask.sum() * voxel_ml
        row = [name, label, found.label + (", abstains" if found.abstain else "")]
        if truth.any():
            dices.append(float(dice(truth[None], found.mask[None])[0]))
            errors.append((given - known) / known)
            rows.append([*row, f"{known:.2f}", f"{given:.2f}", f"{errors[-1]:+.1%}", f"{dices[-1]:.3f}"])
        else:
            rows.append([*row, f"{known:.2f}", f"{given:.2f}", "", ""])
    off = np.abs(errors)
    return (
        table(("volume", "class", "answer", "lesion, ml", "outlined, ml", "off", "Dice"), rows)
        + f"\n{method}: {right} of {len(rows)} classes right, {answered} answered; mean Dice of {len(off)} lesions "
        f"{np.mean(dices):.3f} (median {np.median(dices):.3f}), the volume off by {np.median(off):.1%} (median), "
        f"within 10 % in {(off <= 0.1).sum()}.\n"
    )


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifier", type=Path, default=Path("models/classifier"))
    parser.add_argument("--unet", type=Path, default=Path("models/unet"))
    parser.add_argument("--method", default="unet")
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--scans", type=Path, metavar="FOLDER", help="real ones: <person>/<date>_Scan_*.nii.gz, _Mask")
    parser.add_argument("--label", default="glioma", help="what the real ones show (default: glioma)")
    args = parser.parse_args()
    models = load_models(args.classifier, args.unet)
    if args.scans is not None:
        print(run(real(args.scans, args.label, models, args.method), args.method))
    else:
        print(run(simulated(args.patients, models, args.method), args.method))


if __name__ == "__main__":
    main()
