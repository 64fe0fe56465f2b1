"""Keras and TensorFlow without what they print: every other file has them from here.

Importing TensorFlow writes lines to the process's standard error that no setting of its own keeps back (that it knows
oneDNN, that it found no CUDA), and its first step one that reads like a failure where there is no GPU ("failed call to
cuInit"). What it writes while it is imported is held back and looked through: lines of that kind are dropped, all
others are passed on. `TF_CPP_MIN_LOG_LEVEL` in the environment, 0 to 3, has the say over what comes later; without it
that is 3, which leaves out all but what ends the process. Errors that Python sees are raised as ever.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

NOISE = re.compile(
    r"WARNING: All log messages before absl::InitializeLog"
    r"|To enable the following instructions: "
    r"|I\d{4} [\d:. ]+ "
    r"|E\d{4} .*(failed call to cuInit|Unable to register cu\w+ factory)"
)


@contextmanager
def without_noise() -> Iterator[None]:
    """Hold back the lines that match `NOISE` out of what is written to file descriptor 2 in the block."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+b") as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines(keepends=True):
                if not NOISE.match(line):
                    os.write(2, line.encode())


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with without_noise():
    import keras
    import tensorflow as tf
    from keras import layers, ops

__all__ = ["keras", "layers", "ops", "tf"]
