"""TensorRT: which graphs it can run, with which shapes, and the plans built beside the GPU."""
