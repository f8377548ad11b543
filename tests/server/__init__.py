"""Tests of the embedded server, its launcher and its backend."""
