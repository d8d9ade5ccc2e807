"""The press runs pages for real, reports failures by page and line, and runs only what is stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from book import chapters, press, update

Write = Callable[..., Path]


@pytest.fixture
def write() -> object:
    """Write a page under a scratch folder of the repository (the press needs it inside)."""
    folder = chapters.ROOT / "build" / "test-press"
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def _write(text: str, name: str = "page.md") -> Path:
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
        return path

    yield _write
    for path in written:
        path.unlink(missing_ok=True)


def run(path: Path) -> press.PageResult:
    return press.run([path], quiet=True)[path]


def test_output_figure_and_namespace(write: Write) -> None:
    page = write(
        "```python\nimport matplotlib.pyplot as plt\nx = 1 / 3\nprint(x)\n```\n\n"
        "```text {.output}\n0.333\n```\n\n"
        "??? note\n    ```python\n    fig, ax = plt.subplots()\n    ax.plot([0, x])\n    ```\n\n"
        "    ![line](figures/line.svg)\n\n"
        "<!-- invisible-code: python\nassert 0 < x < 1\n-->\n"
    )
    result = run(page)
    assert not result.errors
    (figure,) = result.figures
    first = figure.read_bytes()
    assert b"<svg" in first
    assert b"dc:date" not in first
    # The same numbers give the same bytes in another process.
    page.write_text(page.read_text(encoding="utf-8") + "\nmore prose\n", encoding="utf-8")
    assert run(page).figures[0].read_bytes() == first


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\n```python\nx = 1\n1 / 0\n```\n", 2, "ZeroDivisionError"),
        ("```python\nprint(2)\n```\n\n```text {.output}\n3\n```\n", 1, "+2"),
        ("```python\nprint(2)\n```\n", 1, "no output fence follows"),
        ("```python\nx = 2\n```\n\n```text {.output}\n3\n```\n", 1, "-3"),
        ("```python\nx = 1\n```\n\n![a](figures/a.svg)\n", 1, "draws no figure"),
        ("```python\nimport matplotlib.pyplot as p\np.figure()\n```\n", 1, "no figures/"),
        ("<!-- invisible-code: python\nassert 1 > 2\n-->\n", 1, "AssertionError"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", 1, "UserWarning: old"),
        ("```python\n>>> 1 + 1\n3\n```\n", 1, "Got:"),
        ("text\n\n![a](figures/nobody.svg)\n", 3, "no block draws"),
    ],
)
def test_failures_name_page_line_and_reason(
    write: Write, text: str, line: int, reason: str
) -> None:
    page = write(text)
    with pytest.raises(press.PageFailed) as failure:
        press.run_or_raise([page], quiet=True)
    assert f"page.md:{line}: " in str(failure.value)
    assert reason in str(failure.value)


def test_tracebacks_point_into_the_markdown(write: Write) -> None:
    page = write("a\n\nb\n\n```python\nx = 1\n\nraise ValueError('here')\n```\n")
    (error,) = [b.error for b in run(page).errors]
    assert "line 8" in error
    assert "ValueError: here" in error


def test_blocks_after_a_raise_are_reported_as_not_run(write: Write) -> None:
    page = write("```python\n1 / 0\n```\n\n```python\nx = 1\n```\n")
    assert [("not run" in (b.error or "")) for b in run(page).blocks] == [False, True]


def test_marked_blocks_are_counted_not_run(write: Write) -> None:
    page = write("<!-- needs: network -->\n```python\nraise SystemExit\n```\n")
    (block,) = run(page).blocks
    assert (block.skipped, block.error) == ("network", None)


def test_the_test_summary_counts_blocks_by_what_they_need(
    write: Write, pytestconfig: pytest.Config
) -> None:
    ran = "```python\nx = 1\n```\n\n"
    gpu, network = (f"<!-- needs: {kind} -->\n{ran}" for kind in ("gpu", "network"))
    pages = [write(ran + gpu + gpu + network, "one.md"), write(ran + ran, "two.md")]
    names = [f"{path.relative_to(press.ROOT).as_posix()}::line:1" for path in pages]
    said: list[str] = []
    reporter = SimpleNamespace(
        getreports=lambda kind: [
            SimpleNamespace(nodeid=name) for name in (*names, "tests/x.py::y")
        ],
        write_line=said.append,
    )
    conftest = pytestconfig.pluginmanager.get_plugin(str(press.ROOT / "conftest.py"))
    conftest.pytest_terminal_summary(reporter)
    assert said == ["book: 3 blocks of 2 pages run; 2 need a GPU, 1 a network"]


def test_only_the_stale_runs(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write("1", "data.txt")
    page = write(f"```python\nopen({str(data)!r}).read()\n```\n")
    runs: list[Path] = []
    execute = press._execute
    monkeypatch.setattr(press, "_execute", lambda p: runs.append(p) or execute(p))
    monkeypatch.setattr(press, "_session", {})
    run(page)
    press._session.clear()
    run(page)
    assert len(runs) == 1
    data.write_text("2", encoding="utf-8")  # a file that the page read
    run(page)
    assert len(runs) == 2
    page.write_text(page.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    run(page)
    assert len(runs) == 3
    data.write_text("1", encoding="utf-8")  # an earlier state: remembered
    page.write_text(page.read_text(encoding="utf-8").removesuffix("more\n"), encoding="utf-8")
    run(page)
    assert len(runs) == 3


def test_leading_spaces_of_an_output_stay(write: Write) -> None:
    page = write("??? note\n    ```python\n    print('  1\\n  2')\n    ```\n")
    assert update.update([page]) == [page]
    assert "\n      1\n      2\n" in page.read_text(encoding="utf-8")
    assert not run(page).errors
    assert update.update([page]) == []


def test_update_keeps_the_outputs_of_blocks_that_did_not_finish(write: Write) -> None:
    one, two, three = (
        f"```python\n{code}\n```\n\n```text {{.output}}\nold\n```\n\n"
        for code in ("print('new')", "print('new'); 1 / 0", "print('new')")
    )
    page = write(one + two + three)
    with pytest.raises(press.PageFailed, match=r"page\.md:9: outputs from here on stay"):
        update.main([str(page)])
    assert page.read_text(encoding="utf-8") == one.replace("old", "new") + two + three


def test_update_rewrites_what_stands_under_prompts(write: Write) -> None:
    text = (
        "# T\n\n- list\n\n    ```python\n    >>> x = 2\n    >>> for i in range(x):\n    ...     i\n"
        "    0\n    >>> print('a\\n\\nb')\n    old\n    old\n    >>> 1 / 3\n    0.33\n"
        "    >>> int('y')\n"
        "    Traceback (most recent call last):\n    ValueError: ...\n    ```\n\n"
        "```python\nprint(x)\n```\n\n```text {.output}\nold\n```\n"
    )
    page = write(text)
    (problem, other) = run(page).errors
    assert problem.line == 5
    assert problem.error is not None
    assert "make update" in problem.error
    assert "Got:" in problem.error
    assert "the output differs" in str(other.error)
    assert update.update([page]) == [page]
    assert page.read_text(encoding="utf-8") == text.replace("    0\n", "    0\n    1\n", 1).replace(
        "    old\n    old\n", "    a\n    <BLANKLINE>\n    b\n"
    ).replace("old", "2")
    assert not run(page).errors


def test_a_prompt_that_raises_ends_the_run(write: Write) -> None:
    text = "```python\n>>> 1 / 0\n1\n```\n\n```python\nprint(1)\n```\n"
    page = write(text)
    first, second = run(page).errors
    assert "ZeroDivisionError" in str(first.error)
    assert not first.finished
    assert str(second.error).startswith(press.NOT_RUN)
    with pytest.raises(press.PageFailed, match=r"page\.md:1: outputs from here on stay"):
        update.main([str(page)])
    assert page.read_text(encoding="utf-8") == text


def test_update_rewrites_outputs_and_nothing_else(write: Write) -> None:
    text = (
        "# T\n\n```python\nprint(1.23456)\n```\n\n```text {.output}\n1.23\n```\n\n"
        "- list\n\n    ```python\n    print(2)\n    ```\n\n"
        "    ```text {.output}\n    3\n    ```\n\n"
        "```python\nprint('new')\n```\n\ntail  \n"
    )
    page = write(text)
    assert update.update([page]) == [page]
    assert page.read_text(encoding="utf-8") == text.replace("    3\n", "    2\n").replace(
        "print('new')\n```\n", "print('new')\n```\n\n```text {.output}\nnew\n```\n"
    )
    assert update.update([page]) == []
