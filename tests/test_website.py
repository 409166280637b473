from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib import pyplot as plt

import page_runs
from page_runs import digest, kept_runs, run_page
from throughtime.appearance import DARK, LIGHT

PAGE = """# A page

```python title="a title"
number = 20 + 1
print("twice", 2 * number)
```

```python
>>> number  # a session is doctest's
21
```

```python
from pathlib import Path

from matplotlib import pyplot as plt

figure, axes = plt.subplots()
axes.plot([1, 2, 3])
axes.set(xlabel="step", ylabel="loss")
figure.savefig("loss.png")
figure
Path("words.html").write_text("<p>words</p>")
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(page_runs, "DRAWN", tmp_path / "drawn")
    (tmp_path / "work").mkdir()
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_what_blocks_print_draw_and_write_is_kept(page: Path) -> None:
    run_page(page, page.parent / "work")
    printed, drawn = kept_runs()[digest(PAGE)].blocks
    assert (printed.printed, printed.figures, printed.files) == ("twice 42\n", [], [])
    assert (drawn.printed, drawn.figures, drawn.files) == ("", ["loss against step"], ["1-words.html"])
    assert plt.get_fignums() == []


def test_a_figure_is_drawn_on_white_paper_and_on_dark(page: Path) -> None:
    run_page(page, page.parent / "work")
    light, dark = (
        (page.parent / "drawn" / "page" / f"1-0-{own}.svg").read_text(encoding="utf-8") for own in ("light", "dark")
    )
    for colours, svg, others in ((LIGHT, light, DARK), (DARK, dark, LIGHT)):
        for name in ("paper", "ink", "faint"):
            assert getattr(colours, name) in svg
            assert getattr(others, name) not in svg
        assert colours.lines[0] in svg


def test_words_may_change_and_code_may_not(page: Path) -> None:
    run_page(page, page.parent / "work")
    assert digest(PAGE.replace("A page", "Another title")) in kept_runs()
    assert digest(PAGE.replace("20 + 1", "20 + 2")) not in kept_runs()


def test_an_error_names_the_page_and_its_line(page: Path) -> None:
    page.write_text(PAGE.replace("2 * number", "1 / 0"), encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as raised:
        run_page(page, page.parent / "work")
    last = raised.traceback[-1]
    assert (Path(last.path), last.lineno) == (page, 4)
