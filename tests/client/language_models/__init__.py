"""Tests of ``client.language_models``."""
