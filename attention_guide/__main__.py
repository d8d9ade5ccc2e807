"""Check your own attention, or copy a piece of the package into one file.

`python -m attention_guide check package.module:name`, `python -m attention_guide copy rope`.
"""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 when a property fails."""
    parser = argparse.ArgumentParser(
        prog="python -m attention_guide", description=(__doc__ or "").splitlines()[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="check an attention function or module")
    checking.add_argument("target", help="package.module:name of a callable, module or Adapter")
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    copying = commands.add_parser(
        "copy",
        help="print a piece as one file that imports torch alone",
        description="Print a piece as one file that imports torch alone: any function, layer, "
        "model or explanation, the recorder, the switch for fast products.",
    )
    copying.add_argument(
        "name", nargs="?", help="the name of such a piece; without one, the names are listed"
    )
    options = parser.parse_args(arguments)
    return _copy(parser, options) if options.command == "copy" else _check(parser, options)


def _copy(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from attention_guide.copying import copy, copyable

    try:
        print(copy(options.name) if options.name is not None else "\n".join(sorted(copyable())))
    except ValueError as error:
        parser.error(str(error))
    return 0


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from attention_guide.conformance.checking import check
    from attention_guide.conformance.target import load_target

    try:
        adapter = load_target(options.target)
    except (ImportError, TypeError, ValueError) as error:
        parser.error(str(error))
    report = check(adapter, name=options.target)
    print(report.to_json() if options.json else report)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
