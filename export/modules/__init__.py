"""The checkpoint's three parts as torch modules that can be traced into ONNX graphs."""
