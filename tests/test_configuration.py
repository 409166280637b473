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
    for name in (*_core.instruction_sets(), *_core.bfloat16_instruction_sets()):
        assert name in shown["native core"].split(";")[1]
    assert shown["bfloat16 products"].strip().startswith(_core.bfloat16_instruction_set() or "none")
    assert shown["threads"].strip() == str(torch.get_num_threads())
