"""The scripts of the live figures as the site serves them.

What is there to be read is served as it stands: attention, and the Transformer that the page links.
The other scripts leave their comments in the repository, and half of each indentation, so that a
page with all figures is light.
"""

from __future__ import annotations

import re

FOLDER = "assets/playground"
READ = {"attention.js", "layers.js", "blocks.js", "model.js"}
# Comments that stand alone on their lines, and the types that stand before an expression.
_COMMENT = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/)[\s\S])*\*/|//.*)[ \t]*\n", re.MULTILINE)
_TYPE = re.compile(r"/\*\* @(?:type|param) .*?\*/ ?")
_INDENT = re.compile(r"^(?:  )+", re.MULTILINE)  # no text of ours goes over a line's end


def is_lighter(uri: str) -> bool:
    """Whether a file of the site is a script that loses its comments."""
    folder, _, name = uri.rpartition("/")
    return folder == FOLDER and name.endswith(".js") and name not in READ


def without_comments(text: str) -> str:
    """The script without its comments, but for the first line, which says what it is."""
    first, _, rest = text.partition("\n")
    bare = _TYPE.sub("", _COMMENT.sub("", rest))
    return f"{first}\n{_INDENT.sub(lambda found: found[0][::2], bare)}"
