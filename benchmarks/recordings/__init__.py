"""Recordings of any length: what cutting them costs and gains, and what is heard in noise."""
