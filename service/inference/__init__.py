"""Running a bundle: the only room that imports ONNX Runtime."""
