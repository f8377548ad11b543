"""Decoders side by side: ours, others, ours without one of its speed-ups, on the same log_probs."""
