from __future__ import annotations

from pathlib import Path

import throughtime

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_files_are_short_and_have_a_subject() -> None:
    assert len(SOURCES) > 20
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
        assert path.stem not in {"utils", "util", "helpers", "misc", "common"}, path


def test_every_public_name_of_the_package_is_there() -> None:
    for name in throughtime.__all__:
        assert getattr(throughtime, name).__doc__, name
        assert name in dir(throughtime)


def test_the_changelog_knows_this_version() -> None:
    version = throughtime.__version__.split(".dev")[0]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
