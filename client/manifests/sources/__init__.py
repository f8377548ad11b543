"""Manifests from the layouts that speech data comes in, and whether a manifest holds what it says.

Flow::

    folders, LibriSpeech, Kaldi, Sphinx, a table     or     an existing manifest
      → reading    utterances, and what is left out and why
      → measuring  each recording opened, its length taken, pieces and duplicates judged
      → writing    a line of JSON                            and always
      → summary    how much there is, its characters, and whether a model can take it
"""

from .existing import read_existing
from .measuring import Measured, measured
from .reading import KINDS, guess_kind, read_source
from .source import Fault, Problem, Source, Utterance
from .summary import ModelFit, Summary
from .writing import manifest_line

__all__ = [
    "KINDS",
    "Fault",
    "Measured",
    "ModelFit",
    "Problem",
    "Source",
    "Summary",
    "Utterance",
    "guess_kind",
    "manifest_line",
    "measured",
    "read_existing",
    "read_source",
]
