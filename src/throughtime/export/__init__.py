"""Models that leave: ONNX, and weights from and to torch.nn, Keras and ONNX nodes."""
