"""ONNX's own node cases, and random ONNX models against onnxruntime."""
