"""Long recordings made of utterances, and what cutting and stitching them costs."""
