"""`python -m book.pdf [SITE [OUT]]`: the PDF of a site that is already built."""

from __future__ import annotations

import sys
from pathlib import Path

from book import build
from book.pdf import build_pdf


def main(arguments: list[str]) -> int:
    """Build the PDF; 1 where it fails."""
    site, out = [Path(a).resolve() for a in arguments] + [build.SITE, build.PDF][len(arguments) :]
    try:
        build_pdf(site, out)
    except build.BuildFailed as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
