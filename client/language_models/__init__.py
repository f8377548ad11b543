"""Language models: loaded for the search, trained, converted and inspected."""

from client.language_models.cases import WORD_CASES
from client.language_models.loading import LanguageModel, load_language_model, read_words

__all__ = ["WORD_CASES", "LanguageModel", "load_language_model", "read_words"]
