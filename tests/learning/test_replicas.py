"""Two replicas in one process take the steps of one, also where a batch has fewer images than there are replicas."""

import subprocess
import sys
from pathlib import Path

import pytest

from brainmri.learning.replicas import shares

ROOT = Path(__file__).parents[2]

# A process of its own: TensorFlow's devices are set before its first operation. 11 images in batches of 5: the last
# batch has one, which the second replica gets, and the first a stand-in that must not count.
TWO_ON_ONE_PROCESSOR = """
import sys
from pathlib import Path
import numpy as np
from brainmri.core.quiet_keras import keras, layers, tf
from brainmri.learning import training, workers
from brainmri.models.classifier_batches import ImageBatches, targets

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (11, 8, 8, 3)).astype(np.uint8)
made = targets(np.arange(11) % 3, 3, smoothing=0.1, balance=0.5)

def learnt(place):
    training.make_deterministic(0, "float32")
    with workers.scope():
        inputs = keras.Input((8, 8, 3))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(inputs)))
        x = layers.GlobalAveragePooling2D()(layers.SpatialDropout2D(0.3)(x))
        # No weight stands before a normalisation that undoes it: of its gradient, nothing, Adam makes steps.
        x = layers.Dropout(0.2)(layers.BatchNormalization(scale=False)(layers.Dense(6, use_bias=False)(x)))
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
        model.compile(training.adamw(0.01, 0.05, 0.5), "categorical_crossentropy", metrics=["accuracy"])
    batches = ImageBatches([images], np.arange(11), made, 5, 0)
    rows = training.fit(model, batches, batches, training.Plan(2, 0.01, "constant", 0, 0), 0, place)
    return [list(row.values()) for row in rows], workers.apart(model).get_weights(), [*rows[0]]

place = Path(sys.argv[1])
one = learnt(place / "one")
workers._strategy.set(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
two = learnt(place / "two")
assert workers.provenance() == {"replicas": 2}
assert one[2] == two[2], (one[2], two[2])
np.testing.assert_allclose(one[0], two[0], rtol=0, atol=1e-5)
for ours, other in zip(one[1], two[1], strict=True):
    np.testing.assert_allclose(ours, other, rtol=0, atol=1e-5)
"""


@pytest.mark.slow
def test_two_replicas_take_the_steps_of_one(tmp_path):
    words = [sys.executable, "-c", TWO_ON_ONE_PROCESSOR, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shares_keep_the_order_and_are_as_equal_as_can_be():
    assert shares(7, 2).tolist() == [0, 3, 7]
    assert shares(1, 2).tolist() == [0, 0, 1]
    assert shares(2, 3).tolist() == [0, 0, 1, 2]
