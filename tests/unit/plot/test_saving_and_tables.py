"""Files that come out the same, and tables that hold what the figure shows."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from lxml import etree, html
from PIL import Image
from pypdf import PdfReader

from attention_guide.plot import (
    arcs,
    curves,
    curves_table,
    describe,
    head_view,
    heads,
    heatmap,
    save,
    table,
    training_curves,
)

CAUSAL = np.tril(np.ones((2, 2), dtype=bool))
WEIGHTS = np.array([[1.0, 0.0], [0.25, 0.75]])

DRAW = """
import hashlib, sys, matplotlib
matplotlib.use("Agg")
from attention_guide.plot import arcs, heatmap, save
figures = [heatmap([[1.0, 0.0], [0.3, 0.7]], ["שלום", "b"], mask=[[True, False], [True, True]]),
           arcs([[1.0, 0.0], [0.3, 0.7]])]
for number, figure in enumerate(figures):
    for path in save(figure, f"{sys.argv[1]}/{number}", alt="two tokens"):
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.fixture(autouse=True)
def _own_backend() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def test_another_process_at_another_time_writes_the_same_bytes(tmp_path):
    def run(name: str, seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", DRAW, str(tmp_path / name)],
            env={"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(Path.home())},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    first = run("one", "1")
    assert first == run("two", "2")
    assert [line.split()[0] for line in first.splitlines()] == [
        "0.svg", "0.pdf", "0.png", "1.svg", "1.pdf", "1.png",
    ]  # fmt: skip


def test_the_three_files_are_what_their_names_say_and_carry_the_words(tmp_path):
    words = "a <map> of “two” tokens\x00"
    paths = save(heatmap(WEIGHTS, ["<b>", "&"]), tmp_path / "new" / "map.v1", alt=words)
    svg, pdf, png = paths
    assert [path.name for path in paths] == ["map.v1.svg", "map.v1.pdf", "map.v1.png"]
    text = "".join(etree.parse(svg).getroot().itertext())
    clean = words.replace("\x00", "\ufffd")
    assert clean in text
    assert PdfReader(pdf).metadata.subject == clean
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert image.info["Description"] == clean


def test_the_words_keep_every_character_that_a_file_can_hold(tmp_path):
    words = "می\u200cخواهم 👩\u200d👧 5\u202f000\u00a0€\u3000\t\u0085"
    svg, pdf, png = save(heatmap(WEIGHTS), tmp_path / "map", alt=words + "\x1b\ud83d\uffff")
    clean = words + "\ufffd" * 3
    assert clean in "".join(etree.parse(svg).getroot().itertext())
    assert PdfReader(pdf).metadata.subject == clean
    with Image.open(png) as image:
        assert image.info["Description"] == clean


def test_tokens_in_the_pdf_can_be_read_out(tmp_path):
    (path,) = save(heatmap(WEIGHTS, ["street", "animal"]), tmp_path / "map", formats=["pdf"])
    assert "street" in PdfReader(path).pages[0].extract_text()


def test_save_names_what_does_not_fit(tmp_path):
    figure = heatmap(WEIGHTS)
    for options in ({"formats": ["gif"]}, {"formats": []}, {"dpi": 0}):
        with pytest.raises(ValueError, match="expected"):
            save(figure, tmp_path / "map", **options)
    assert not list(tmp_path.iterdir())


def test_saving_leaves_the_settings_and_the_figure_as_they_were(tmp_path):
    before = dict(mpl.rcParams)
    figure = heatmap(WEIGHTS)
    first = [hashlib.sha256(path.read_bytes()).digest() for path in save(figure, tmp_path / "a")]
    again = [hashlib.sha256(path.read_bytes()).digest() for path in save(figure, tmp_path / "b")]
    assert first == again
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("form", ["html", "csv", "markdown"])
def test_a_masked_cell_is_never_a_zero(form):
    text = table(WEIGHTS, ["a", "b"], ["a", "b"], mask=CAUSAL, form=form)
    row = {
        "html": '<td aria-label="masked">–</td>',
        "csv": "a,1.00,\n",
        "markdown": "| a | 1.00 | – |",
    }
    assert row[form] in text
    assert "0.00" not in text


def test_the_html_table_is_for_a_screen_reader_and_takes_no_markup():
    names = ["<script>alert(1)</script>", 'a"b&c']
    text = table(WEIGHTS, names, names, form="html", caption="<i>weights</i>")
    tree = html.fromstring(text)
    assert not tree.xpath("//script | //i")
    assert [th.text for th in tree.xpath("//tbody//th[@scope='row']")] == names
    assert len(tree.xpath("//thead//th[@scope='col']")) == 3
    assert tree.xpath("//caption")[0].text == "<i>weights</i>"
    assert [float(td.text) for td in tree.xpath("//td")] == WEIGHTS.ravel().tolist()


def test_the_csv_table_reads_back_and_holds_no_formulas():
    names = ['a,"b"', "=1+1", "-3"]
    text = table(np.eye(3), names, names, form="csv", digits=3)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["query", 'a,"b"', "'=1+1", "-3"]
    np.testing.assert_array_equal(
        [[float(cell) for cell in row[1:]] for row in rows[1:]], np.eye(3)
    )


def test_markup_in_a_markdown_cell_stays_text():
    text = table([[1.0]], ["<b>*x*</b>"], ["`$y$`|"])
    assert r"\`\$y\$\`\|" in text
    assert r"&lt;b&gt;\*x\*&lt;/b&gt;" in text


def test_heads_are_described_from_the_same_numbers():
    even = np.full((2, 2), 0.5)
    text = describe(np.stack([np.eye(2), even, np.zeros((2, 2))]), ["a", "b"], ["c", "d"])
    assert text.startswith(
        "Attention of 3 heads, 2 queries by 2 keys. Head 0: spread over 1.0 keys"
    )
    assert "Head 1: spread over 2.0 keys, 0.50 on the same place" in text
    assert text.endswith("Head 2: attends nowhere.")
    assert describe(np.ones((9, 1, 1)), most=2).endswith("7 more.")
    assert ", 1 cell masked." in describe(WEIGHTS[None], mask=CAUSAL)


def test_a_row_that_sums_to_less_than_1_counts_as_shares():
    """Sinks take the rest: ten keys with a hundredth each are still ten keys."""
    assert "spread over 10.0 keys" in describe(np.full((1, 4, 10), 0.01))


def test_a_query_that_attends_nowhere_counts_neither_way():
    text = describe([[[0.0, 0.0], [0.0, 1.0]]])
    assert "spread over 1.0 keys, 1.00 on the same place" in text


def test_one_map_is_described_query_by_query():
    assert describe(WEIGHTS, ["$x", "y"], ["$x", "y"]) == (
        "Attention map, 2 queries by 2 keys. $x: most on $x (1.00). y: most on y (0.75)."
    )


def test_curves_become_a_table():
    text = curves_table({"a|b": [1.0, 2.5], "c": [3.0, np.nan]}, x=[8, 64], x_label="width")
    assert text.splitlines() == [
        r"| width | a\|b | c |", "|---:|---:|---:|", "| 8 | 1 | 3 |", "| 64 | 2.5 | nan |",
    ]  # fmt: skip
    assert curves_table({"a": [1.0]}, form="csv") == "x,a\n1,1"


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        ([123456, 123457], ["123456", "123457"]),
        ([0.1234561, 0.1234562], ["0.1234561", "0.1234562"]),
        ([0.1 + 0.2, -0.0], ["0.3", "0"]),
    ],
)
def test_different_x_are_written_differently(x, shown):
    lines = curves_table({"a": [1, 2]}, x, form="csv").splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == shown


def test_tables_name_what_does_not_fit():
    for call, message in [
        (lambda: table(WEIGHTS, form="xml"), "form"),
        (lambda: table(WEIGHTS, ["a"], form="html"), "query_tokens"),
        (lambda: table([[np.nan]], form="csv"), "NaN"),
        (lambda: table(np.full((2, 2), 0.5), mask=CAUSAL, form="csv"), "hide a leak"),
        (lambda: describe(np.ones(3)), r"\(T, S\) or \(H, T, S\)"),
        (lambda: describe(np.full((1, 2, 2), 0.5), mask=CAUSAL), "hide a leak"),
        (lambda: curves_table({}), "series"),
        (lambda: curves_table({"a": [1.0], "b": [1.0, 2.0]}), "series"),
        (lambda: curves_table({"a": [1.0]}, form="html"), "form"),
        (lambda: curves_table({"a": [1.0, 2.0]}, [[1, 2]]), r"x: expected a vector"),
        (lambda: curves_table({"a": [1.0]}, digits=0), "digits: expected"),
        (lambda: table(WEIGHTS, form="csv", digits=1.5), "digits: expected"),
        (lambda: describe(WEIGHTS[None], most=-1), "most: expected"),
        (lambda: heads(WEIGHTS[None], columns=1.5), "columns: expected a whole number"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("title", [None, "a title", "a title of many words: " * 4])
@pytest.mark.parametrize("shape", [(10, 10), (3, 25), (25, 3), (2, 2)])
@pytest.mark.parametrize("draw", [
    lambda w, rows, columns, title: heatmap(w, rows, columns, title=title),
    lambda w, rows, columns, title: heads([w, w, w], rows, columns, title=title),
    lambda w, rows, columns, title: head_view([w], rows, columns, title=title),
    lambda w, rows, columns, title: head_view([w] * 7, title=title),
    lambda w, rows, columns, title: arcs(np.eye(len(w)), rows, mask=np.eye(len(w), dtype=bool),
                                         title=title),
    lambda w, rows, columns, title: training_curves([2.0, 1.0], title=title),
    lambda w, rows, columns, title: curves({"a": [1.0]}, x_label="x", y_label="y", title=title),
])  # fmt: skip
def test_nothing_is_cut_off_where_a_reader_saves_with_matplotlib_alone(draw, shape, title):
    """The first drawing has room for every label, without the care that `save` takes."""
    rows, columns = ([f"attention{i}" for i in range(n)] for n in shape)
    file = io.BytesIO()
    draw(np.full(shape, 1 / shape[1]), rows, columns, title).savefig(file)
    with Image.open(file) as image:
        dark = np.asarray(image.convert("L")) < 200
    edges = [dark[:2], dark[-2:], dark[:, :2], dark[:, -2:]]
    assert not any(edge.any() for edge in edges)
