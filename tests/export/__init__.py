"""Tests of the exporter against NeMo itself; they run in ``.venv-export``.

NeMo is imported here, before any test, because its import warns and warnings are errors in tests.
"""

import logging
import os
import warnings

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may wait for the network

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nemo.collections.asr  # noqa: F401
    import torch
    from nemo.utils import logging as nemo_logging

torch.set_num_threads(1)  # models this small only wait for more
nemo_logging.setLevel(logging.ERROR)
