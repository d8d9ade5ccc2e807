"""A map in words and as a table says what the picture says."""

import subprocess
import sys

import numpy as np
import pytest

from attention_guide.plot import alt_text, weights_table

TOKENS = ["the", "cat|s", "sat"]
CAUSAL = np.tril(np.ones((3, 3), dtype=bool))
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.2, 0.3, 0.5]])


def test_alt_text_names_the_favourite_of_each_query():
    text = alt_text(WEIGHTS, TOKENS, TOKENS, mask=CAUSAL)
    assert text.startswith("Attention map, 3 queries by 3 keys, 3 cells masked.")
    assert "sat: most on sat (0.50)." in text


def test_alt_text_says_when_a_query_may_attend_nowhere():
    mask = np.array([[False, False], [True, True]])
    text = alt_text([[0.0, 0.0], [0.5, 0.5]], mask=mask)
    assert "0: may attend nowhere." in text


def test_alt_text_never_names_a_key_that_gets_nothing():
    text = alt_text([[0.0, 0.0]], ["q"], ["hidden", "open"], mask=[[False, True]])
    assert text.endswith("q: attends nowhere.")
    assert alt_text([[0.0, 0.0], [0.0, 1.0]]).endswith("0: attends nowhere. 1: most on 1 (1.00).")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([0.25, 0.25, 0.25, 0.25], "spread evenly over 4 keys (0.25 each)"),
        ([0.4, 0.1, 0.1, 0.4], "most on a and d (0.40 each)"),
        ([0.3, 0.3, 0.3, 0.1], "most on 3 keys alike (0.30 each)"),
    ],
)
def test_alt_text_says_that_keys_share_the_most(row, said):
    assert alt_text([row], ["q"], list("abcd")).endswith(f"q: {said}.")


def test_alt_text_shares_among_the_keys_that_are_open():
    text = alt_text([[0.5, 0.5, 0.0]], mask=[[True, True, False]])
    assert text.endswith("0: spread evenly over 2 keys (0.50 each).")


def test_alt_text_stays_short():
    text = alt_text(np.eye(20), most=3)
    assert text.count("most on") == 3
    assert text.endswith("17 more.")
    with pytest.raises(ValueError, match="most: expected a whole number of at least 0, got -1"):
        alt_text(np.eye(3), most=-1)


def test_table_has_a_row_a_query_and_dashes_where_forbidden():
    lines = weights_table(WEIGHTS, TOKENS, TOKENS, mask=CAUSAL, digits=1).splitlines()
    assert lines[0] == r"| query | the | cat\|s | sat |"
    assert lines[2] == "| the | 1.0 | – | – |"
    assert lines[4] == "| sat | 0.2 | 0.3 | 0.5 |"


def test_a_zero_has_no_minus_and_digits_are_counted():
    assert "| 0.00 | 1.00 |" in weights_table([[-5e-6, 1.0]])
    with pytest.raises(ValueError, match="digits: expected a whole number of at least 0, got -1"):
        weights_table([[1.0]], digits=-1)


def test_a_tilde_needs_no_backslash():
    """The book's Markdown would show the backslash; GitHub's would strike out."""
    assert "| &#126;&#126;a |" in weights_table([[1.0]], ["~~a"])


def test_a_leak_is_an_error_here_too():
    for say in (alt_text, weights_table):
        with pytest.raises(ValueError, match="hide a leak"):
            say(np.full((3, 3), 1 / 3), mask=CAUSAL)


def test_only_the_plot_package_imports_matplotlib():
    code = (
        "import attention_guide, attention_guide.functional, sys\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import attention_guide.plot\n"
        "assert 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
