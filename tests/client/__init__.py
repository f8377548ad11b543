"""Tests of the client; a Triton server that misbehaves on purpose is in ``support``."""
