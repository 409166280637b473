"""Is `throughtime.nn.ConvLSTM` as exact and how much faster than the ConvLSTM that everybody writes?

    python benchmarks/convolutional_recurrence.py [--threads 2] [--repeats 7]

Beside it stands the usual loop in Python: at each step one convolution of the concatenation of x_t and h_{t-1}, then
the gates by torch's own operations, and automatic differentiation back. One training step is forward, and back to all
weights. Both have the same weights; the error is that against float64. Contestants take turns in one process.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from recurrent_measuring import interleaved, relative_error
from torch import Tensor, nn

from throughtime.nn import ConvLSTM

SHAPES = {
    "frames 64 x 64, 1 -> 64": (1, 64, 1, 3, 64, 4),
    "frames 32 x 32, 1 -> 64, 64": (1, 64, 2, 3, 32, 8),
    "frames 32 x 32, 1 -> 32": (1, 32, 1, 3, 32, 8),
    "frames 32 x 32, 1 -> 32, kernel 5": (1, 32, 1, 5, 32, 8),
    "features 16 x 16, 64 -> 64": (64, 64, 1, 3, 16, 8),
    "features 8 x 8, 128 -> 128": (128, 128, 1, 3, 8, 8),
}
TIME = 10


class LoopedConvLSTM(nn.Module):
    """The usual ConvLSTM: for each layer and each step, cat(x, h), one convolution, four gates."""

    def __init__(self, in_channels: int, hidden_channels: int, kernel_size: int, num_layers: int) -> None:
        super().__init__()
        self.hidden_channels = hidden_channels
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                (hidden_channels if layer else in_channels) + hidden_channels,
                4 * hidden_channels,
                kernel_size,
                padding=kernel_size // 2,
            )
            for layer in range(num_layers)
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, None]:
        """Frames and outputs of shape (batch, time, channel, height, width)."""
        values = frames
        for convolution in self.convolutions:
            batch, time, _, height, width = values.shape
            hidden = values.new_zeros(batch, self.hidden_channels, height, width)
            cell = hidden
            outputs: list[Tensor] = []
            for t in range(time):
                gates = convolution(torch.cat([values[:, t], hidden], dim=1))
                i, f, o, g = gates.split(self.hidden_channels, dim=1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
                hidden = torch.sigmoid(o) * torch.tanh(cell)
                outputs.append(hidden)
            values = torch.stack(outputs, dim=1)
        return values, None


@torch.no_grad()
def copy_weights(source: LoopedConvLSTM, target: ConvLSTM) -> None:
    """Give the layer the loop's weights; the loop's gates stand in the order i, f, o, g."""
    for layer, convolution in enumerate(source.convolutions):
        own = target.weights(layer)
        columns = own["weight_ih"].shape[1]
        blocks = [convolution.weight.chunk(4)[place] for place in (0, 1, 3, 2)]
        own["weight_ih"].copy_(torch.cat(blocks)[:, :columns])
        own["weight_hh"].copy_(torch.cat(blocks)[:, columns:])
        own["bias_ih"].copy_(torch.cat([convolution.bias.chunk(4)[place] for place in (0, 1, 3, 2)]))
        own["bias_hh"].zero_()


def measure(name: str, repeats: int) -> tuple[str, float]:
    in_channels, hidden_channels, num_layers, kernel_size, side, batch = SHAPES[name]
    torch.manual_seed(0)
    loop = LoopedConvLSTM(in_channels, hidden_channels, kernel_size, num_layers)
    layer = ConvLSTM(in_channels, hidden_channels, kernel_size, num_layers, batch_first=True)
    copy_weights(loop, layer)
    frames = torch.randn(batch, TIME, in_channels, side, side)
    gradient = torch.randn(batch, TIME, hidden_channels, side, side)
    exact, _ = loop.double()(frames.double())
    loop.float()
    errors = [relative_error(module(frames)[0].double(), exact) for module in (loop, layer)]

    def training(module: nn.Module) -> None:
        module.zero_grad()
        module(frames)[0].backward(gradient)

    calls = {"loop": lambda: training(loop), "ours": lambda: training(layer)}
    seconds = interleaved(calls, repeats=repeats, least_seconds=0.2)
    loop_time, own_time = (statistics.median(seconds[who]) for who in ("loop", "ours"))
    ratio = statistics.median(a / b for a, b in zip(seconds["loop"], seconds["ours"], strict=True))
    times = f"{loop_time * 1e3:.0f} ms", f"{own_time * 1e3:.0f} ms", f"{ratio:.2f}"
    cells = name, *times, *(f"{error:.0e}" for error in errors)
    return f"| {' | '.join(cells)} |", ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {TIME} steps\n")
    print("| what | the usual loop | ours | times as fast | error of the loop | our error |")
    print("|---|---:|---:|---:|---:|---:|")
    ratios: list[float] = []
    for name in SHAPES:
        row, ratio = measure(name, arguments.repeats)
        print(row, flush=True)
        ratios.append(ratio)
    print(f"\ngeometric mean: {statistics.geometric_mean(ratios):.2f} times as fast")


if __name__ == "__main__":
    main()
