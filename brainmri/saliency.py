"""Where a classifier sees its evidence: how strongly each pixel could move the score of a class.

The method is the squared gradient by the input (Simonyan et al. 2014, arXiv:1312.6034, squared as by Hooker et al.
2019, arXiv:1806.10758). It was chosen on the 54 masked validation images of the simulated set, by how often its peak
lies in the tumour. Each figure is for the trained network and, in brackets, for the same one with random weights, which
should find no more than chance, 2 %:

======================================= ============ ============
method                                  residual     cnn
======================================= ============ ============
squared gradient, smoothed by 2 px      100 % (4 %)  100 % (4 %)
squared SmoothGrad, 8 draws of noise    100 % (2 %)  100 % (11 %)
the same times the image                100 % (74 %) 100 % (89 %)
HiResCAM, finest grid of activations    69 % (4 %)   98 % (54 %)
HiResCAM, coarsest grid                 19 % (0 %)   33 % (4 %)
======================================= ============ ============

On 200 training images of the same set, with the residual network, Grad-CAM hits 36 % on the finest grid and 14 % on the
coarsest. A map that multiplies by the image finds bright spots with any network, and the simulated tumours are bright
(the brightest spot alone hits 76 %): it would have proved nothing. What is best on simulated images need not be on real
ones.
"""

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import ndimage
from tqdm import tqdm

from brainmri.metadata import encode
from brainmri.predict import BATCH, Classifier

BLUR = 1 / 64  # standard deviation of the smoothing, as a share of the image's side


def evidence(model: keras.Model, inputs: list[np.ndarray], class_numbers: np.ndarray) -> np.ndarray:
    """Return the squared gradient of a class's score by each pixel, summed over channels and smoothed.

    Parameters
    ----------
    model : keras.Model
        Any that maps images to probabilities (N, K).
    inputs : list of ndarray
        What the model takes: images (N, S, S, C) float32 in [0, 1], then metadata if it takes any.
    class_numbers : ndarray, shape (N,), int
        The class that is looked for in each image.

    Returns
    -------
    ndarray, shape (N, S, S), float32, in [0, 1]
        The largest of each image is 1; all are 0 where no pixel moves the score.
    """
    images, *others = (tf.convert_to_tensor(array) for array in inputs)
    with tf.GradientTape() as tape:
        tape.watch(images)
        chosen = tf.gather(_scores(model, [images, *others]), class_numbers, axis=1, batch_dims=1)
    slopes = tape.gradient(chosen, images).numpy().astype(np.float64)
    side = images.shape[1]
    return _scaled(ndimage.gaussian_filter((slopes**2).sum(axis=-1), (0, side * BLUR, side * BLUR)))


def classifier_evidence(
    classifier: Classifier, images: np.ndarray, table: pd.DataFrame, class_numbers: np.ndarray
) -> np.ndarray:
    """Return the evidence (N, S, S) of a classifier in images (N, S, S, C) uint8, batch by batch.

    `table` has the index's columns of the N images. Of a classifier that answers from both an image and its mirror
    image, it is the mean over both.
    """
    columns = [encode(table, classifier.columns)] if classifier.columns else []
    found = np.zeros(images.shape[:3], np.float32)
    for at in tqdm(range(0, len(images), BATCH), "evidence", unit="batch", mininterval=1, disable=not len(images)):
        part = slice(at, at + BATCH)
        picture, metadata = images[part].astype(np.float32) / 255, [array[part] for array in columns]
        found[part] = evidence(classifier.model, [picture, *metadata], class_numbers[part])
        if classifier.mirror:
            other = evidence(classifier.model, [picture[:, :, ::-1], *metadata], class_numbers[part])
            found[part] = _scaled(found[part] + other[:, :, ::-1])
    return found


def _scores(model: keras.Model, inputs: list[tf.Tensor]) -> tf.Tensor:
    """Return the scores before the softmax: a sure answer's probability is flat, so that its gradient would be 0."""
    last = model.layers[-1]
    if isinstance(last, keras.layers.Dense) and last.activation is keras.activations.softmax:
        features = tf.cast(keras.Model(model.inputs, last.input)(inputs, training=False), last.kernel.dtype)
        return features @ last.kernel + (0 if last.bias is None else last.bias)
    return tf.math.log(keras.Model(model.inputs, model.output)(inputs, training=False) + keras.config.epsilon())


def _scaled(maps: np.ndarray) -> np.ndarray:
    top = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, top, out=np.zeros_like(maps), where=top > 0).astype(np.float32)
