"""Two replicas in one process take the steps of one, also where a batch has fewer images than there are replicas."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brainmri.core.errors import TrainingError
from brainmri.learning import workers
from brainmri.learning.replicas import Together, shares

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


def meeting(theirs):
    """Return what the first of two workers sees, where the other's run is called `theirs`."""
    first = Together.__new__(Together)
    first.team = workers.Team({"worker": ["one:1", "two:2"]}, ["one:1", "two:2"], 0)
    number = int(hashlib.sha256(f"{theirs}/0".encode()).hexdigest()[:12], 16)
    first._sum = lambda own: own + np.array([0, number]) if len(own) == 2 else own
    return first


def test_a_worker_with_other_code_or_data_is_refused_by_name(tmp_path):
    with pytest.raises(TrainingError, match=r"should be the chief's, received others from worker 1 \(two:2\)"):
        meeting("aaaa").agree(tmp_path / "bbbb/0")
    meeting("bbbb").agree(tmp_path / "bbbb/0")
