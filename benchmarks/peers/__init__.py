"""Other ways to run the same checkpoint on a CPU, beside ours: ``python -m benchmarks peers``."""
