"""What runs on this machine: versions, instruction set, threads and precision."""

from __future__ import annotations

import platform
import sys

import torch

import throughtime
from throughtime._core import bfloat16_instruction_set, bfloat16_instruction_sets, instruction_set, instruction_sets


def configuration() -> dict[str, str]:
    """Collect what decides how fast, and how exactly, the layers compute here."""
    runs = [*bfloat16_instruction_sets(), *instruction_sets()]
    return {
        "throughtime": throughtime.__version__,
        "torch": torch.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "native core": f"{instruction_set()}; this machine runs {', '.join(runs)}",
        "bfloat16 products": bfloat16_instruction_set() or "none: products are float32",
        "threads": str(torch.get_num_threads()),
        "float32 products": torch.get_float32_matmul_precision(),
        "accelerator": str(torch.accelerator.current_accelerator() or "none"),
    }


def show_config() -> None:
    """Print ``configuration()``, one line each."""
    for name, value in configuration().items():
        sys.stdout.write(f"{name + ':':<19}{value}\n")
