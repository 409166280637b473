"""Recurrent neural networks on PyTorch: exact layers, backpropagation through time, and the tasks they are used for."""

__version__ = "0.1.0.dev0"
