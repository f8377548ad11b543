"""Parity and speed on a machine with a GPU that reaches no network."""
