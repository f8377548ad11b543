"""Tests of reading audio."""
