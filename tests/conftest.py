from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no defect
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    # Small tensors gain nothing from more, and tests that run side by side must not fight for cores.
    torch.set_num_threads(1)


@pytest.fixture
def rhyme(tmp_path: Path) -> Path:
    """A text file of about 8,000 characters that a small model learns in no time."""
    lines = [f"{count} green bottles hanging on the wall, and if one should fall:" for count in range(128)]
    path = tmp_path / "rhyme.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
