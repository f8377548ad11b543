"""What the workers run: one module for each peer, importing only what that peer's users install."""
