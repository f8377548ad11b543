"""Triton backends that the embedded server brings along."""
