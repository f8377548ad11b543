"""Tests of ``client.evaluation.tuning``."""
