"""Latency, throughput and accuracy of served models."""
