"""What a network sees of a scan does not move under frames, labels, padding, extreme values and other bit depths."""

import numpy as np
import pytest

from benchmarks.disturbances import DISTURBANCES, picture
from brainmri.phantom.simulated_set import simulated  # noqa
