"""Models whose answer is known: networks made by hand, to which tumour is what is brighter than 3/5 of a window."""

import keras
import numpy as np
from keras import layers

from brainmri.core.files import write_json
from brainmri.models.likeness import learnt_likeness, write_likeness
from brainmri.models.model_files import save_model

CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
WINDOWS = [[1, 99], [1, 75], [50, 99.8]]
PARAMS = {"size": 128, "fit": "pad", "window_source": "dicom", "windows": WINDOWS}


def handmade(folder, size=128):
    """Write `classifier` (meningioma, or notumor where nothing is bright) and `unet` into a folder."""
    made_with = {"classes": CLASSES, "params": PARAMS | {"size": size}}
    for name in ("classifier", "unet"):
        (folder / name).mkdir(parents=True)
        write_json(folder / name / "preprocess.json", made_with)
    pixels = keras.Input((size, size, 3))
    bright = layers.Conv2D(1, 1, activation="sigmoid", name="bright")
    tumour = bright(pixels)
    unet = keras.Model(pixels, tumour)
    bright.set_weights([np.array([[[[400.0], [0], [0]]]]), np.array([-240.0])])
    save_model(unet, folder / "unet/model.keras")
    cleaning = {"threshold": 0.5, "smallest_px": 0, "largest_only": False, "fill_holes": True, "mirror": False}
    write_json(folder / "unet/postprocess.json", cleaning)
    classes = layers.Dense(4, activation="softmax", name="classes")
    classifier = keras.Model(pixels, classes(layers.GlobalAveragePooling2D()(tumour)))
    classes.set_weights([np.array([[0, 4000.0, 0, 0]]), np.array([-6.0, -6, 0, -6])])
    save_model(classifier, folder / "classifier/model.keras")
    calibration = {"mirror": False, "temperature": 1.0, "abstain_below": 0.5, "unlike_above": 1e6}
    write_json(folder / "classifier/calibration.json", calibration)
    shares = np.linspace(0, 1, 16)[:, None]  # of what is bright; nothing is unlike these
    write_likeness(folder / "classifier/likeness.npz", learnt_likeness(shares, np.zeros(16, int)))
    write_json(folder / "classifier/metadata.json", [])
    return folder
