from __future__ import annotations

import json

import pytest

from throughtime.commands.results import print_json


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [1.5, float("inf"), {"c": (float("-inf"), 2)}], "d": "NaN"})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found == {"a": None, "b": [1.5, None, {"c": [None, 2]}], "d": "NaN"}
