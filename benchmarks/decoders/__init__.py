"""Decoders side by side on the same log_probs: ours and others, in several settings."""
