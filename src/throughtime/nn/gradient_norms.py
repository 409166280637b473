"""The norm of the gradient at each step on its way back, where one sees it vanish or explode."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from throughtime.nn.convolutional import ConvolutionalRecurrent
from throughtime.nn.recurrent import Recurrent


class GradientNorms(Mapping[str, list[Tensor]]):
    """What ``record_gradient_norms`` gives, to be read after the backward pass.

    By the name of each recurrent layer in the module ("" for the module itself), one tensor for each of its calls, of
    shape (num_layers * directions, time, batch): the 2-norm of dL/dh_t over the units of a layer, and over all places
    of a convolutional one, all paths from h_t to the loss together; clipped if the layer clips; zero in the padding and
    before the backward pass.
    """

    def __init__(self, gradients: dict[str, list[list[Tensor]]]) -> None:
        self._gradients = gradients

    def __getitem__(self, name: str) -> list[Tensor]:
        return [_norms(call) for call in self._gradients[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._gradients)

    def __len__(self) -> int:
        return len(self._gradients)


def _norms(call: list[Tensor]) -> Tensor:
    first = call[0]
    norms = first.new_empty(len(call), *first.shape[:2])
    for place, gradient in enumerate(call):
        norms[place] = gradient.flatten(2).norm(dim=-1)
    return norms


@contextmanager
def record_gradient_norms(module: nn.Module) -> Generator[GradientNorms]:
    """Record dL/dh_t of every recurrent layer in ``module`` that is called within the context.

    The backward pass may come later. Each layer costs one tensor as large as its output for each call. Layers that run
    on torch's kernels run on another backend within the context.

    >>> import torch, throughtime
    >>> layer = throughtime.nn.RNN(3, 5)
    >>> with record_gradient_norms(layer) as norms:
    ...     layer(torch.randn(20, 2, 3))[0][-1].sum().backward()
    >>> norms[""][0].shape
    torch.Size([1, 20, 2])
    """
    layers = {
        name: layer for name, layer in module.named_modules() if isinstance(layer, Recurrent | ConvolutionalRecurrent)
    }
    before = {name: layer.hidden_gradients for name, layer in layers.items()}
    gradients: dict[str, list[list[Tensor]]] = {name: [] for name in layers}
    for name, layer in layers.items():
        layer.hidden_gradients = gradients[name]
    try:
        yield GradientNorms(gradients)
    finally:
        for name, layer in layers.items():
            layer.hidden_gradients = before[name]
