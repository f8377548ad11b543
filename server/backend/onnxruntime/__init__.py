"""The Python-based ``onnxruntime`` backend; Triton loads ``model.py`` as a file of its own."""
