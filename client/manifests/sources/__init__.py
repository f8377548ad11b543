"""Manifests from the layouts that speech data comes in, and whether a manifest holds what it says.

Flow::

    folders, LibriSpeech, Kaldi, Sphinx, a table     or     an existing manifest
      → reading    utterances, and what is left out and why
      → measuring  each recording opened, measured and judged; a line of JSON for each; and how
                   much there is, its characters, and whether a model can take it
"""

from .files import Fault, Problem, Source, SourceUtterance
from .measuring import Measured, ModelFit, Summary, manifest_line, measured
from .reading import KINDS, guess_kind, read_existing, read_source

__all__ = [
    "KINDS",
    "Fault",
    "Measured",
    "ModelFit",
    "Problem",
    "Source",
    "SourceUtterance",
    "Summary",
    "guess_kind",
    "manifest_line",
    "measured",
    "read_existing",
    "read_source",
]
