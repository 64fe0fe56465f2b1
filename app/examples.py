"""Built-in examples: simulated scans, made when they are asked for, so that nothing needs to be uploaded or stored."""

import functools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from brainmri.core.labels import CLASSES

if TYPE_CHECKING:
    from brainmri.core.manifest import SourceImage

SEED = 2026  # none of the default run's patients
PLANES = ("axial", "coronal", "sagittal")  # as `scanner.PLANES`
SHOWN_IN = (0, 1, 0, 2)  # the plane of each class's example
PATIENTS = 4  # of each class, of whom one is shown
SIZE_PX, SPACING_MM, STEP_MM = 160, 1.4, 4.0  # of the volume


@functools.cache
def example_slice(number: int, plane: int, hard: bool = False) -> tuple[str, bytes]:
    """Return the name and the bytes of a JPEG file: a simulated slice of class `number`, through the lesion's middle.

    Of the first `PATIENTS` simulated patients of that class it is the one with the largest lesion in that plane; a hard
    one has the smallest. No model is asked.
    """
    # Here and not at the top: the template of the head takes seconds to load.
    import numpy as np

    from brainmri.phantom import simulated_set

    params = simulated_set.PhantomParams(
        seed=SEED,
        patients=simulated_set.Patients(train=4, test=len(CLASSES) * PATIENTS),
        slices=3,
        size=[224, 240],
        jpeg_quality=[90, 95],
        twins=0,
    )
    taken = []
    for index in range(number, len(CLASSES) * PATIENTS, len(CLASSES)):
        rng = np.random.default_rng([SEED, 1, index])  # as `simulate` draws a test patient
        taken.append(simulated_set.take_slice(rng, simulated_set.draw_patient(rng, params, "test", index), plane, 1))
    image = (min if hard else max)(taken, key=_lesion_mm2)
    return f"simulated-{image.label}-{image.plane}{'-hard' if hard else ''}.jpg", image.data


def _lesion_mm2(image: "SourceImage") -> float:
    import cv2
    import numpy as np

    mask = np.asarray(cv2.imdecode(np.frombuffer(image.mask_data or b"", np.uint8), cv2.IMREAD_GRAYSCALE))
    row_mm, col_mm = image.voxel_mm or (1.0, 1.0)
    return float(np.count_nonzero(mask)) * row_mm * col_mm


@functools.cache
def example_volume(number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a NIfTI file: the axial slices of a whole simulated head."""
    import nibabel
    import numpy as np

    from brainmri.phantom import anatomy, lesions, scanner, simulated_set

    rng = np.random.default_rng([SEED, number])
    head = anatomy.draw_anatomy(rng)
    lesion = lesions.draw_lesion(rng, CLASSES[number], head)
    patient = simulated_set.Patient("", "test", CLASSES[number], head, lesion, np.empty((0, 3)), SIZE_PX, 0)
    places = np.arange(-64, 84, STEP_MM)
    views = [scanner.View("axial", float(z), SIZE_PX, SPACING_MM, (0.0, 0.0), 0.0) for z in places]
    # All slices as one tall picture: one scanner, one coil, one tone for the whole head.
    tall = np.concatenate([simulated_set.look(patient, scanner.view_points(view))[0] for view in views])
    slices = scanner.acquire(rng, tall, SPACING_MM).reshape(len(views), SIZE_PX, SIZE_PX)
    affine = np.diag([SPACING_MM, SPACING_MM, STEP_MM, 1.0])
    affine[:3, 3] = scanner.view_points(views[0])[-1, 0]  # rows of a picture run to the back, NIfTI's to the front
    stored = slices[:, ::-1].transpose(2, 1, 0)
    return f"simulated-{patient.label}-volume.nii", nibabel.Nifti1Image(stored, affine).to_bytes()


def _named() -> dict[str, Callable[[], tuple[str, bytes]]]:
    slices: dict[str, Callable[[], tuple[str, bytes]]] = {
        f"{label}, {PLANES[plane]} slice": partial(example_slice, at, plane)
        for at, (label, plane) in enumerate(zip(CLASSES, SHOWN_IN, strict=True))
    }
    return slices | {
        f"{CLASSES[1]}, whole head": partial(example_volume, 1),
        f"{CLASSES[0]}, a hard one": partial(example_slice, 0, 0, hard=True),
    }


EXAMPLES = _named()  # by what the page calls them
