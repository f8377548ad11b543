"""Tests of ``client.tuning``."""
