"""The beam search of nemo-ctc-triton, in C++; ``nemo_ctc.decoding`` is its Python side."""

from ._native import Decoder, LanguageModel, Lexicon, PauseRule, Search

__all__ = ["Decoder", "LanguageModel", "Lexicon", "PauseRule", "Search"]
