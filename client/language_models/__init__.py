"""Language models: loaded for the search, trained, converted and inspected."""

from .cases import WORD_CASES
from .loading import LanguageModel, load_language_model, read_words

__all__ = ["WORD_CASES", "LanguageModel", "load_language_model", "read_words"]
