from __future__ import annotations

import pytest
import torch

import throughtime
from throughtime import _core


def test_show_config_says_what_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    throughtime.show_config()
    shown = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert shown["throughtime"].strip() == throughtime.__version__
    assert shown["torch"].strip() == torch.__version__
    assert shown["native core"].strip().startswith(f"{_core.instruction_set()};")
    assert ("amx" in shown["native core"]) == _core.has_amx()
    assert shown["threads"].strip() == str(torch.get_num_threads())
