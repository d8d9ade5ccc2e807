"""Where a public object's source stands in the repository: links on the pages of the reference."""

import re

_SOURCE = re.compile(
    r'<details class="mkdocstrings-source">\s*'
    r"<summary>[^<]*<code>(?P<path>[^<]+)</code></summary>"
    r'(?=.*?<span class="normal"> *(?P<line>\d+)</span>)',
    re.DOTALL,
)


def add(html: str, repository: str, commit: str) -> str:
    """Put a link to the file and line below the title of each fold that shows a source."""

    def link(match: re.Match[str]) -> str:
        place = f"{match['path']}#L{match['line']}"
        address = f"{repository.rstrip('/')}/blob/{commit}/{place}"
        return f'{match[0]}<p><a href="{address}">{match["path"]} in the repository</a></p>'

    return _SOURCE.sub(link, html)
