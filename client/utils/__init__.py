"""Helpers that every wing may use, and that use no wing."""
