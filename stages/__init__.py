"""The pipeline's stages, one script each, in the order of `dvc.yaml`.

The one `__init__.py` with a line of code: nothing else runs before a stage imports TensorFlow, which takes seconds.
"""

from brainmri.core.errors import begin_stage

begin_stage()
