"""Tests of the benchmarks; ``models`` makes a tiny model to measure."""
