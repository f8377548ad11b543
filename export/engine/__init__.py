"""TensorRT: the graphs and shapes that it can run, and plans built beside the GPU."""
