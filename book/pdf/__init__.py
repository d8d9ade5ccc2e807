"""The PDF edition: the site's own pages, assembled into one document and set by WeasyPrint."""

from __future__ import annotations

import os
import time
from pathlib import Path


def build_pdf(site: Path, out: Path) -> Path:
    """Set the built site as a book; a failure leaves the last good PDF where it was."""
    from book.build import BuildFailed
    from book.pdf.assemble import assemble
    from book.pdf.render import RendererWarning, render

    started = time.perf_counter()
    print("book: setting the PDF edition (a minute or two)", flush=True)
    try:
        book = assemble(site)
        pdf = render(book.document, site / "assets")
    except (ValueError, RendererWarning) as error:
        raise BuildFailed(f"the PDF failed; the last good one stands\n{error}") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".part")
    temporary.write_bytes(pdf)
    os.replace(temporary, out)
    seconds = time.perf_counter() - started
    print(f"book: wrote {out.name} ({len(pdf) / 1e6:.1f} MB) in {seconds:.0f} s")
    return out
