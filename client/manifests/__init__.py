"""Manifests: read, checked, and made of other corpora's files."""
