"""`python -m book COMMAND`: run, update, site, serve, pdf, chapter, lint."""

from __future__ import annotations

import sys

COMMANDS = ("run", "update", "site", "serve", "pdf", "chapter", "lint")


def main(arguments: list[str]) -> int:
    """Hand the arguments to the command's module; 1 when pages or the build fail."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m book {{{','.join(COMMANDS)}}} [PAGE ...]")
        return 2
    command, rest = arguments[0], arguments[1:]
    from book import build, press, update

    try:
        if command == "run":
            press.main(rest)
        elif command == "update":
            update.main(rest)
        elif command == "site":
            build.site()
        elif command == "serve":
            return build.serve(rest)
        elif command == "pdf":
            build.pdf()
        elif command == "chapter":
            build.new_chapter(*rest)
        elif command == "lint":
            build.lint()
    except (press.PageFailed, build.BuildFailed) as error:
        print(f"\nbook: failed\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
