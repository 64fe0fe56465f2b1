"""Built-in examples: simulated scans, made when they are asked for, so that nothing needs to be uploaded or stored."""

import functools
from collections.abc import Callable
from functools import partial

from brainmri.core.labels import CLASSES

SEED = 2026  # none of the default run's patients
PLANES = ("axial", "coronal", "sagittal")  # as `scanner.PLANES`
SIZE_PX, SPACING_MM, STEP_MM = 160, 1.4, 4.0  # of the volume


@functools.cache
def example_slice(number: int, plane: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a JPEG file: a slice of simulated patient `number`, of that class's number."""
    # Here and not at the top: the template of the head takes seconds to load.
    import numpy as np

    from brainmri.phantom import simulated_set

    params = simulated_set.PhantomParams(
        seed=SEED,
        patients=simulated_set.Patients(train=4, test=4),
        slices=3,
        size=[224, 240],
        jpeg_quality=[90, 95],
        twins=0,
    )
    rng = np.random.default_rng([SEED, number, plane])
    image = simulated_set.take_slice(rng, simulated_set.draw_patient(rng, params, "test", number), plane, 1)
    return f"simulated-{image.label}-{image.plane}.jpg", image.data


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
        f"{label}, {PLANES[at % 3]} slice": partial(example_slice, at, at % 3) for at, label in enumerate(CLASSES)
    }
    return slices | {f"{CLASSES[1]}, whole head": partial(example_volume, 1)}


EXAMPLES = _named()  # by what the page calls them
