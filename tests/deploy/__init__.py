"""Tests of the files for production: Compose, Kubernetes, Prometheus, Grafana."""
