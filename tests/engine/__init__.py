"""Tests of building TensorRT plans, without TensorRT: its libraries are beside GPUs only."""
