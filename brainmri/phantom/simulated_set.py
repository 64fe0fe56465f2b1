"""The simulated set, the default source: slices of made-up patients, with and without tumours, and their exact masks.

Paths are as in Kaggle's set: `Training/glioma/p0012_axial_1.jpg` and `Testing/...`, masks under `masks/`. Training
patients are `p` and a number, test patients `q` and a number. Every patient has a random generator of their own, so
asking for more patients leaves the others as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Self

import cv2
import numpy as np
from pydantic import AfterValidator, Field, model_validator

from brainmri.core.labels import CLASSES
from brainmri.core.manifest import SourceImage
from brainmri.core.params import Section
from brainmri.phantom import lesions, scanner
from brainmri.phantom.anatomy import Anatomy, brightness, draw_anatomy, to_template
from brainmri.phantom.atlas import MARGIN_MM, shells

FOLDERS = {"train": "Training", "test": "Testing"}
LETTERS = {"train": "p", "test": "q"}
TWIN = "_twin"
CHANGES = ("re-encoded", "rescaled", "mirrored")
VOLUME_MM = ((-95, 95), (-125, 105), (-90, 100))  # the whole of any brain; scalp and neck may be cut
TWIN_HOMES = (("train", "test"), ("train", "train"), ("train", "test"), ("test", "test"))  # split of original, of twin


def _ordered(bounds: list[int]) -> list[int]:
    if bounds[0] > bounds[1]:
        raise ValueError("a range [low, high] with low <= high")
    return bounds


Side = Annotated[int, Field(ge=64, le=1024)]
Quality = Annotated[int, Field(ge=30, le=100)]


class Patients(Section):
    """How many patients each split has."""

    train: int = Field(ge=4, le=9999)
    test: int = Field(ge=4, le=9999)


class PhantomParams(Section):
    """Section `fetch.phantom`."""

    seed: int = Field(ge=0)
    patients: Patients
    slices: int = Field(ge=3, le=12, multiple_of=3)
    size: Annotated[list[Side], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
    jpeg_quality: Annotated[list[Quality], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
    twins: int = Field(ge=0)

    @model_validator(mode="after")
    def _enough_patients(self) -> Self:
        if self.twins > min(self.patients.train, self.patients.test):
            raise ValueError(f"a mapping with twins at most the patients of either split (twins is {self.twins})")
        return self

    def images(self) -> int:
        """Return how many images `simulate` makes."""
        return (self.patients.train + self.patients.test) * self.slices + self.twins


@dataclass(frozen=True)
class Patient:
    """One simulated patient: a head as a function of place, and how their pictures are taken."""

    name: str
    split: str
    label: str
    anatomy: Anatomy
    lesion: lesions.Lesion | None
    target_mm: np.ndarray  # (N, 3), what the slices pass through: the tumour's inside, or where one might have been
    size_px: int
    jpeg_quality: int


@dataclass(frozen=True)
class _Twin:
    split: str  # where the copy goes
    name: str
    slice_number: int
    change: str


def simulate(params: PhantomParams) -> Iterator[SourceImage]:
    """Make the set, image by image; equal params give equal bytes.

    Images of a patient follow each other, a planted near-duplicate right after its original. Every image has a mask,
    all zero where there is no tumour.
    """
    twins = _draw_twins(params)
    for split in FOLDERS:
        for index in range(getattr(params.patients, split)):
            rng = np.random.default_rng([params.seed, list(FOLDERS).index(split), index])
            patient = draw_patient(rng, params, split, index)
            for number in range(params.slices):
                image = take_slice(rng, patient, number, params.slices // len(scanner.PLANES))
                yield image
                if (twin := twins.get((patient.name, number))) is not None:
                    yield _copy(twin, image, patient.jpeg_quality)


def draw_patient(rng: np.random.Generator, params: PhantomParams, split: str, index: int) -> Patient:
    """Draw patient number `index` of a split; the classes take turns, so that each has a quarter."""
    label = CLASSES[index % len(CLASSES)]
    anatomy = draw_anatomy(rng)
    # A patient without a tumour is sliced where one of some kind might be, so that place tells as little as it can.
    kind = label if label in lesions.KINDS else str(rng.choice(lesions.KINDS))
    lesion = lesions.draw_lesion(rng, kind, anatomy)
    return Patient(
        name=f"{LETTERS[split]}{index:04d}",
        split=split,
        label=label,
        anatomy=anatomy,
        lesion=lesion if label == kind else None,
        target_mm=lesions.inner_places(lesion, anatomy),
        size_px=int(rng.integers(params.size[0], params.size[1] + 1)),
        jpeg_quality=int(rng.integers(params.jpeg_quality[0], params.jpeg_quality[1] + 1)),
    )


def look(patient: Patient, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is at a patient's places `(..., 3)`, mm.

    Returns
    -------
    brightness : (...) float32, white matter 1
    mask : (...) bool, the tumour
    """
    points = points_mm.reshape(-1, 3)
    head_mm = to_template(patient.anatomy, points)
    distances = shells(head_mm)
    near = np.flatnonzero(distances[:, 1] < MARGIN_MM)  # the rest, often half of the frame, is air
    image, mask = np.zeros(len(points), np.float32), np.zeros(len(points), bool)
    image[near], mask[near] = _look_near(patient, points[near], head_mm[near], distances[near])
    return image.reshape(points_mm.shape[:-1]), mask.reshape(points_mm.shape[:-1])


def _look_near(
    patient: Patient, points_mm: np.ndarray, head_mm: np.ndarray, distances_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    anatomy, lesion = patient.anatomy, patient.lesion
    if lesion is None:
        return brightness(anatomy, points_mm, head_mm, head_mm, distances_mm), np.zeros(len(points_mm), bool)
    healthy = brightness(anatomy, points_mm, head_mm, lesions.push_aside(lesion, head_mm), distances_mm)
    share = lesions.reach(lesion, anatomy, points_mm, head_mm, distances_mm[:, 0])
    return lesions.paint(lesion, anatomy, healthy, share, points_mm), share < 1


def volume(patient: Patient, spacing_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the whole head on a grid, without scanner or noise.

    Returns
    -------
    brightness : (X, Y, Z) float32, white matter 1
    mask : (X, Y, Z) uint8, 0 or 1
    affine : (4, 4), voxel indices to the patient's mm (x right, y front, z top), as NIfTI has it
    """
    axes = [np.arange(low, high, spacing_mm, dtype=np.float32) for low, high in VOLUME_MM]
    layers = [look(patient, np.stack(np.meshgrid(*axes[:2], [z], indexing="ij"), axis=-1)[:, :, 0]) for z in axes[2]]
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = [low for low, _ in VOLUME_MM]
    image, mask = (np.stack(part, axis=-1) for part in zip(*layers, strict=True))
    return image, mask.astype(np.uint8), affine


def take_slice(rng: np.random.Generator, patient: Patient, number: int, per_plane: int) -> SourceImage:
    """Return slice `number` of a patient; the planes take turns, `per_plane` slices in each."""
    plane, turn = scanner.PLANES[number % len(scanner.PLANES)], number // len(scanner.PLANES)
    # Each slice halves an equal part of the tumour's volume, roughly: whatever its shape, none misses it.
    share = (turn + rng.uniform(0.4, 0.6)) / per_plane
    across = np.quantile(patient.target_mm[:, scanner.AXES[plane][2]], share)
    view = scanner.draw_view(rng, plane, float(across), patient.size_px)
    image, mask = look(patient, scanner.view_points(view))
    stored = scanner.acquire(rng, image, view.spacing_mm)
    place = f"{patient.label}/{patient.name}_{plane}_{turn + 1}"
    return SourceImage(
        set="phantom",
        path=f"{FOLDERS[patient.split]}/{place}.jpg",
        data=_jpeg(stored, patient.jpeg_quality),
        label=patient.label,
        split=patient.split,
        patient=patient.name,
        plane=plane,
        voxel_mm=(view.spacing_mm, view.spacing_mm),
        mask_path=f"masks/{FOLDERS[patient.split]}/{place}.png",
        mask_data=_png(mask),
    )


def _draw_twins(params: PhantomParams) -> dict[tuple[str, int], _Twin]:
    """Choose which slice of which patient gets a copy, and where it goes: at most one a patient."""
    rng = np.random.default_rng([params.seed, len(FOLDERS)])
    order = {split: list(rng.permutation(getattr(params.patients, split))) for split in FOLDERS}
    twins = {}
    for index in range(params.twins):
        home, away = TWIN_HOMES[index % len(TWIN_HOMES)]
        original = f"{LETTERS[home]}{order[home].pop():04d}"
        number = int(rng.integers(params.slices))
        twins[original, number] = _Twin(away, f"t{index:04d}", number, CHANGES[index % len(CHANGES)])
    return twins


def _copy(twin: _Twin, image: SourceImage, quality: int) -> SourceImage:
    """Return an image's near-duplicate, booked under a patient of its own as such copies are in real sets."""
    pixels, mask = _decode(image.data), _decode(image.mask_data or b"")
    if twin.change == "mirrored":
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    if twin.change == "rescaled":
        side = round(len(pixels) * 0.95)
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    place = f"{image.label}/{image.path.rsplit('/', 1)[-1].removesuffix('.jpg')}{TWIN}"
    spacing = round((image.voxel_mm or (0.0, 0.0))[0] * len(_decode(image.data)) / len(pixels), 3)
    return replace(
        image,
        path=f"{FOLDERS[twin.split]}/{place}.jpg",
        data=_jpeg(pixels, quality - 10 if quality > 80 else quality + 10),
        split=twin.split,
        patient=twin.name,
        voxel_mm=(spacing, spacing),
        mask_path=f"masks/{FOLDERS[twin.split]}/{place}.png",
        mask_data=_png(mask >= 128),
    )


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _png(mask: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1])


def _decode(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
