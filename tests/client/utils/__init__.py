"""Tests of what all wings use."""
