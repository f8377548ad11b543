"""Manifests from the layouts that speech data comes in, and whether a manifest holds what it says.

Flow::

    folders, LibriSpeech, Kaldi, Sphinx, a table     or     an existing manifest
      → reading    utterances, and what is left out and why
      → measuring  each recording opened, its length taken, pieces and duplicates judged
      → writing    a line of JSON                            and always
      → summary    how much there is, its characters, and whether a model can take it
"""

from client.manifest_sources.existing import read_existing
from client.manifest_sources.measuring import Measured, measured
from client.manifest_sources.reading import KINDS, guess_kind, read_source
from client.manifest_sources.source import Fault, Problem, Source, Utterance
from client.manifest_sources.summary import ModelFit, Summary
from client.manifest_sources.writing import manifest_line

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
