"""Does the exported model do what the checkpoint does? Alone, in batches, and through Triton."""
