from __future__ import annotations

from pathlib import Path

import pytest

from command_line import run
from throughtime import errors
from throughtime.errors import MissingExtraError, check_installed


def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it() -> None:
    check_installed("testing", "pytest", "test")
    with pytest.raises(MissingExtraError, match=r"dreams needs no_such_package; install it with: .*'throughtime\[x\]'"):
        check_installed("dreams", "no_such_package", "x")


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["forecast", "train", "--sample"], "utilsforecast"),
        (["forecast", "backtest", "--sample"], "utilsforecast"),
        (["caption", "train", "--sample"], "pycocoevalcap"),
    ],
)
def test_what_will_be_needed_in_the_end_is_asked_for_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    package: str,
) -> None:
    def found(name: str) -> object:
        return None if name == package else object()

    monkeypatch.setattr(errors, "find_spec", found)
    folder = [] if "backtest" in arguments else ["-o", tmp_path / "model"]
    code, _, err = run(capsys, *arguments, *folder)
    assert code == 1
    assert f"needs {package}; install it with" in err
    assert not (tmp_path / "model").exists()
