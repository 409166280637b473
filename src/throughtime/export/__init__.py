"""Models that leave: ONNX, and weights from and to torch.nn, Keras and the nodes of ONNX models."""

from throughtime.export.keras_weights import from_keras, keras_options, to_keras
from throughtime.export.onnx_export import OnnxExport, export_onnx
from throughtime.export.onnx_int8 import Int8Figures, measure_int8, quantise
from throughtime.export.onnx_layer import layer_to_onnx, layers_from_onnx
from throughtime.export.onnx_operators import OnnxWeights, weights_from_onnx, weights_to_onnx
from throughtime.export.torch_weights import to_torch
from throughtime.nn import from_torch

__all__ = [
    "Int8Figures",
    "OnnxExport",
    "OnnxWeights",
    "export_onnx",
    "from_keras",
    "from_torch",
    "keras_options",
    "layer_to_onnx",
    "layers_from_onnx",
    "measure_int8",
    "quantise",
    "to_keras",
    "to_torch",
    "weights_from_onnx",
    "weights_to_onnx",
]
