"""What the tensors between client and server cost, and what other types and ways would."""
