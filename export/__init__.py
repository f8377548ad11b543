"""From a NeMo checkpoint to a verified Triton model repository."""
