"""Which device and precision a run uses, and which of its processes this one is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from throughtime.errors import ArgumentError, check_choice

PRECISIONS = ("auto", "32", "bf16")


@dataclass(frozen=True)
class Processes:
    """This process among those that train one model together.

    Attributes:
        rank: from 0; the process of rank 0 alone writes files and prints.
        count: how many there are.
        device: where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, device: str = "auto") -> Processes:
        """Join the processes that ``torchrun`` or ``accelerate launch`` started, or be the only one.

        Args:
            device: "auto" (a CUDA device if there is one, else the processor), "cpu", "cuda", "cuda:1", "mps".

        Raises:
            ArgumentError: where there is no such device here, or one for fewer processes.
        """
        chosen = choose_device(device)
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(0, 1, chosen)
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if chosen.type == "cuda" and here > (devices := torch.cuda.device_count()):
            raise ArgumentError(
                f"{here} processes need a CUDA device each, and this machine has {devices}; "
                "start fewer or use `device` 'cpu'"
            )
        from accelerate import PartialState  # noqa: PLC0415 - only launched runs pay for the import

        state = PartialState(cpu=chosen.type == "cpu")
        # accelerate numbers the processor too, as "cpu:0", which safetensors doesn't know.
        joined = chosen if chosen.type == "cpu" else cast("torch.device", state.device)
        return cls(state.process_index, state.num_processes, joined)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Make the gradients of all processes their mean; the model itself where there is one process."""
        return DistributedDataParallel(model) if self.count > 1 else model

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, which have one shape, stacked along a new first axis."""
        if self.count == 1:
            return tensor.unsqueeze(0)
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)

    def first(self, value: float) -> float:
        """The number that rank 0 has, so that all processes take the same decision."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(tensor, src=0)
        return float(tensor)

    def mean(self, value: float) -> float:
        """The mean of the processes' numbers."""
        return value if self.count == 1 else float(self.gather(torch.tensor(value, dtype=torch.float64)).mean())

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            distributed.barrier()


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is a CUDA device if there is one, else the processor.

    Raises:
        ArgumentError: where there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_choice("device", name.split(":", maxsplit=1)[0], ("auto", "cpu", "cuda", "mps"))
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device = torch.device(name)
    if not available[device.type] or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise ArgumentError(f"`device` {name!r} is not on this machine; use 'auto' or 'cpu'")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Resolve "auto": "bf16" where the device multiplies bfloat16 in hardware, else "32".

    Raises:
        ArgumentError: for an unknown name, or bf16 where the processor has no instructions for it.
    """
    check_choice("precision", name, PRECISIONS)
    has_bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else processor_multiplies_bfloat16()
    if name == "auto":
        return "bf16" if has_bf16 and device.type != "mps" else "32"
    if name == "bf16" and (device.type == "mps" or not has_bf16):
        raise ArgumentError(f"`precision` 'bf16' needs bfloat16 instructions that this {device.type} lacks; use '32'")
    return name


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which the forward pass runs: bfloat16 products with float32 weights, or nothing."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@cache
def processor_multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16 that torch is quick with."""
    # torch's recurrent kernels are known to be quick in bfloat16 on x86 alone, so ARM's instructions don't count.
    read = getattr(torch.cpu, "get_capabilities", None)
    capabilities: Mapping[str, object] = read() if read else {}
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
