import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from brainmri.phantom import fields


def test_sample_reads_a_linear_field_exactly():
    x, y, z = np.meshgrid(np.arange(4), np.arange(5), np.arange(6), indexing="ij")
    field = fields.lattice(np.stack([x + 10 * y + 100 * z, -z], axis=-1), np.array([1, 2, 3]), 2.0)
    # One millimetre is half a node: (2, 4, 6) mm is node (0.5, 1, 1.5).
    assert np.allclose(fields.sample(field, np.array([[2.0, 4.0, 6.0]])), [[0.5 + 10 + 150, -1.5]])


def test_sample_agrees_with_scipy_to_the_rounding_of_opencv():
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (7, 8, 9, 1))
    points = rng.uniform(0, 6, (2000, 3))
    ours = fields.sample(fields.lattice(values, np.zeros(3), 1.0), points)[:, 0]
    theirs = ndimage.map_coordinates(values[..., 0], points.T, order=1)
    assert np.abs(ours - theirs).max() < 2 / 64 + 1e-4  # 1/64 for each of the two axes that OpenCV rounds
    assert np.abs(ours - theirs).mean() < 0.006


def test_sample_holds_the_border_or_repeats():
    values = np.arange(4.0).reshape(4, 1, 1, 1) * np.ones((1, 3, 3, 1))
    outside = np.array([[-5.0, 1.0, 1.0], [9.0, 1.0, 1.0]])
    assert fields.sample(fields.lattice(values, np.zeros(3), 1.0), outside)[:, 0].tolist() == [0, 3]
    assert fields.sample(fields.lattice(values, np.zeros(3), 1.0, periodic=True), outside)[:, 0].tolist() == [3, 1]


@given(st.sampled_from([(0,), (1,), (1025,), (3, 5), (2, 0), (2, 3, 4)]))
def test_sample_keeps_the_shape_of_the_points(shape):
    field = fields.noise(np.random.default_rng(0), nodes=8, channels=4)
    assert fields.sample(field, np.ones((*shape, 3))).shape == (*shape, 4)


def test_noise_is_standard_and_seeded():
    first, again, other = (fields.noise(np.random.default_rng(seed), 20, 2).mosaic for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(first.std() - 1) < 0.05


def test_step_is_a_ramp():
    assert fields.step(np.array([-3.0, -1.0, 0.0, 1.0, 3.0]), 2.0).tolist() == [0, 0.25, 0.5, 0.75, 1]
