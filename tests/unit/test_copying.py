"""Every public piece, copied, runs where nothing but torch is installed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from attention_guide.__main__ import main
from attention_guide.copying import _Collector, _Module, _read, copy, copyable

# Imports each copied file, looks up every name that its functions use, and runs the examples of
# its piece; an example that uses other pieces (a NameError) isn't counted. What the examples print
# is compared where the package's own run.
RUNNER = """
import builtins, contextlib, dis, doctest, importlib, io, pathlib, sys, types
sys.path.insert(0, sys.argv[1])
import torch

def used(code):
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from used(inner)

ran = 0
files = sorted(pathlib.Path(sys.argv[1]).glob("copied_*.py"))
pieces = {file.stem.removeprefix("copied_") for file in files}
for file in files:
    module = importlib.import_module(file.stem)
    name = file.stem.removeprefix("copied_")
    code = compile(file.read_text(encoding="utf-8"), name, "exec")
    missing = {n for n in used(code) if not hasattr(module, n) and not hasattr(builtins, n)}
    assert not missing, (name, missing)
    examples = doctest.DocTestParser().get_examples(getattr(module, name).__doc__ or "")
    names = {"torch": torch, **vars(module)}
    try:
        for example in examples:
            if "attention_guide" in example.source:
                raise NameError(example.source)
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(example.source, name, "single"), names)
        ran += bool(examples)
    except NameError as error:
        assert error.name is None or error.name in pieces, (name, error)
foreign = {"attention_guide", "jaxtyping", "numpy", "matplotlib"} & set(sys.modules)
assert not foreign, foreign
print(ran)
"""


@pytest.fixture(scope="module")
def torch_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to torch and the distributions that it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("torch-only")
    wanted, seen = ["torch"], set()
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an optional requirement of another platform
        for file in distribution.files or []:
            top = Path(str(file)).parts[0]
            source = Path(str(distribution.locate_file(top)))
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(source)
        plain = [r for r in distribution.requires or [] if "extra ==" not in r]
        wanted += [re.split(r"[ ;<>=!~\[(]", r, maxsplit=1)[0] for r in plain]
    return folder


def test_every_piece_runs_with_torch_alone(torch_only: Path, tmp_path: Path) -> None:
    names = copyable()
    for name in names:
        (tmp_path / f"copied_{name}.py").write_text(copy(name), encoding="utf-8")
    code = f"import sys; sys.path.append({str(torch_only)!r})\n{RUNNER}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > len(names) / 2


@pytest.mark.parametrize("name", ["Kernel", "LinearForm", "Pairing", "MelScale", "split_heads",
                                  "merge_heads", "fast_matmul", "AttentionRecorder"])  # fmt: skip
def test_what_the_reference_shows_can_be_copied(name: str) -> None:
    assert re.search(rf"^(def |class )?{name}\b", copy(name), re.MULTILINE)


def test_a_copied_sampler_draws() -> None:
    space: dict[str, Any] = {}
    exec(copy("sampler"), space)
    choose = space["sampler"](temperature=0.7, top_k=3, top_p=0.9, min_p=0.1)
    assert choose(torch.tensor([[0.0, 9.0], [9.0, 0.0]]) * 99).tolist() == [1, 0]


def test_a_copy_is_licensed_and_keeps_shapes_in_the_docstring() -> None:
    text = copy("attention")
    assert "MIT License" in text
    assert "jaxtyping" not in text
    assert "(B, H, T, K)" in text


def documented_shapes(node: ast.AST, module: _Module, name: str, doc: str) -> Iterator[Any]:
    """Each shape annotation below a definition: where it stands, its axes, and the docstring that
    has to name them (the class's where a method, like `__init__`, has none of its own).
    """
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        name, doc = f"{name}.{node.name}", ast.get_docstring(node) or doc
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in module.shape_types:
        assert isinstance(node.slice, ast.Tuple)
        yield name, ast.literal_eval(node.slice.elts[1]), doc
    for inner in ast.iter_child_nodes(node):
        yield from documented_shapes(inner, module, name, doc)


def in_words(axes: str) -> str:
    """A pattern of `(B, G, T, K)`: `*B` may be `B`, `...` or nothing, `HK` is `H · K`."""
    parts = []
    for axis in axes.replace("#", "").split():
        if axis == "_":
            parts.append(r"[^,()]+, ")
        elif axis == "..." or (axis.startswith("*") and parts):
            parts.append(r"\.\.\., ")
        elif axis.startswith("*"):
            parts.append(r"(\.\.\., |B, )?")
        else:
            letters = axis if axis.isupper() and axis.isalpha() else [axis]
            parts.append(" ?[·+] ?".join(letters) + ", ")
    return r"\(" + "".join(parts).removesuffix(", ") + r",?\)"


def test_every_shape_stays_in_the_docstring() -> None:
    collector = _Collector()
    for name, home in copyable().items():
        collector.add(home, name)
    found = [
        shape
        for home, name in collector.chosen
        if (module := _read(home)) and name in module.definitions
        for shape in documented_shapes(module.definitions[name], module, home, "")
    ]
    assert len(found) > 500
    # Nothing to name: a scalar, and a shape that may be any.
    lost = {
        (name, axes)
        for name, axes, doc in found
        if axes not in ("", "...") and not re.search(in_words(axes), doc)
    }
    assert not lost, sorted(lost)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "rope"]) == 0
    assert "def rope(" in capsys.readouterr().out
    assert main(["copy"]) == 0
    assert "MultiHeadAttention" in capsys.readouterr().out.split()
    with pytest.raises(SystemExit):
        main(["copy", "mask"])
    assert "near it: " in capsys.readouterr().err
