"""The package behind The Attention Guide: attention and transformers to read, run and check.

Importing it costs next to nothing: the parts are imported by their own paths, such as
`from attention_guide.functional import attention`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attention_guide.record import AttentionRecorder

    __version__: str

__all__ = ["AttentionRecorder", "__version__"]


def __getattr__(name: str) -> object:
    # Looked up on first use: importlib.metadata alone takes longer than the rest of this file.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _version() if name == "__version__" else _recorder()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("attention-guide")
    except PackageNotFoundError:
        return "0+unknown"


def _recorder() -> object:
    from attention_guide.record import AttentionRecorder

    return AttentionRecorder
