"""Run the models of a bundle. The only package that imports ONNX Runtime."""
