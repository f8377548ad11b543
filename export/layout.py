"""Names of files in a model repository, for what writes it, verifies it, and builds engines of it.

Standard library only, as the engine command is.
"""

from typing import Final

VERSION: Final = "1"
"""The version folder of every model: another checkpoint is another name."""

CONFIG_FILE: Final = "config.pbtxt"
GRAPH_FILE: Final = "model.onnx"
