"""Tests of several parts together, on the real server and model."""
