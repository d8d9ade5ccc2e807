"""Argument checks: every message names the argument, what was expected, and what came."""

from collections.abc import Sequence

import torch
from torch import Tensor

Window = tuple[int | None, int | None]

# What torch computes with everywhere. For the others (float8, uint16, ...) it has few kernels.
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
LARGEST = torch.finfo(torch.float64).max
# So far below what an int64 holds that no sum of two overflows.
FARTHEST = 2**62


def shape(x: Tensor) -> str:
    """The shape as it is printed in messages, `(2, 4, 5, 8)`."""
    return str(tuple(x.shape))


def tensor(name: str, x: object) -> Tensor:
    """Demand a tensor whose numbers all lie in memory."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor; got {type(x).__name__}")
    if x.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense tensor; got {x.layout}")
    return x


def floating(name: str, x: object) -> Tensor:
    """Demand a floating-point tensor."""
    x = tensor(name, x)
    if x.dtype not in FLOATS:
        wide = " of at least 16 bits" if x.is_floating_point() else ""
        raise TypeError(f"{name}: expected a floating-point tensor{wide}; got {x.dtype}")
    return x


def boolean(name: str, x: object) -> Tensor:
    """Demand a bool tensor."""
    x = tensor(name, x)
    if x.dtype != torch.bool:
        raise TypeError(f"{name}: expected torch.bool (True = may attend); got {x.dtype}")
    return x


def integral(name: str, x: object) -> Tensor:
    """Demand an integer tensor."""
    x = tensor(name, x)
    if x.dtype not in INTEGERS:
        signed = ", signed or uint8" if "uint" in str(x.dtype) else ""
        raise TypeError(f"{name}: expected an integer tensor{signed}; got {x.dtype}")
    return x


def flag(name: str, x: object) -> bool:
    """Demand True or False."""
    if not isinstance(x, bool):
        raise TypeError(f"{name}: expected True or False; got {type(x).__name__}")
    return x


def float_dtype(name: str, x: object) -> torch.dtype:
    """Demand a floating-point dtype."""
    if x not in FLOATS:
        raise TypeError(f"{name}: expected a floating-point dtype of at least 16 bits; got {x!r}")
    assert isinstance(x, torch.dtype)
    return x


def instance(name: str, x: object, wanted: type) -> None:
    """Demand an instance of a class."""
    if not isinstance(x, wanted):
        word = wanted.__name__
        article = "an" if word[0] in "AEIOU" else "a"
        raise TypeError(f"{name}: expected {article} {word}; got {type(x).__name__}")


def maybe_device(x: object) -> None:
    """Demand the argument `device` to be one, or the name of one; `None` is torch's default."""
    if x is None or isinstance(x, torch.device):
        return
    if not isinstance(x, str):
        raise TypeError(f"device: expected a torch.device or its name; got {type(x).__name__}")
    try:
        torch.device(x)
    except RuntimeError:
        raise ValueError(f"device: expected the name of one, as 'cuda:0'; got {x!r}") from None


def maybe_generator(x: object, other_name: str, other: Tensor) -> None:
    """Demand the argument `generator` to be one for the device of another argument, or `None`."""
    if x is None:
        return
    if not isinstance(x, torch.Generator):
        raise TypeError(f"generator: expected a torch.Generator; got {type(x).__name__}")
    if x.device.type != other.device.type and not other.is_meta:
        raise ValueError(
            f"generator: expected device {other.device}, that of {other_name}; got {x.device}"
        )


def functions(**given: object) -> None:
    """Demand what can be called, each named by its keyword."""
    for name, x in given.items():
        if not callable(x):
            raise TypeError(f"{name}: expected a function or a module; got {type(x).__name__}")


def maybe_functions(**given: object) -> None:
    """The same, where `None` is none."""
    functions(**{name: x for name, x in given.items() if x is not None})


def like(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Demand the dtype and device of another argument."""
    if x.dtype != other.dtype:
        raise TypeError(f"{name}: expected {other.dtype}, the dtype of {other_name}; got {x.dtype}")
    same_device(name, x, other_name, other)


def same_device(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Demand the device of another argument."""
    if x.device != other.device:
        raise ValueError(
            f"{name}: expected device {other.device}, that of {other_name}; got {x.device}"
        )


def rank(name: str, x: Tensor, letters: str) -> None:
    """Demand as many axes as there are letters in `"B H T K"`."""
    wanted = letters.split()
    if x.ndim != len(wanted):
        raise ValueError(f"{name}: expected ({', '.join(wanted)}); got {shape(x)}")


def trailing(name: str, x: Tensor, letters: str) -> None:
    """Demand at least the axes named by the letters, with anything before them."""
    wanted = letters.split()
    if x.ndim < len(wanted):
        raise ValueError(f"{name}: expected (..., {', '.join(wanted)}); got {shape(x)}")


def axis(name: str, x: Tensor, position: int, size: int, letters: str, why: str) -> None:
    """Demand one axis to have a given size."""
    if x.shape[position] != size:
        letter = letters.split()[position]
        form = f"({', '.join(letters.split())})"
        raise ValueError(f"{name}: expected {form} with {letter} = {size} {why}; got {shape(x)}")


def broadcastable(name: str, x: Tensor, target: Sequence[int], letters: str) -> None:
    """Demand a shape that broadcasts to the target without enlarging it."""
    have = tuple(x.shape)
    fits = len(have) <= len(target) and all(
        n in (1, m) for n, m in zip(have[::-1], tuple(target)[::-1], strict=False)
    )
    if not fits:
        form = f"({', '.join(letters.split())}) = {tuple(target)}"
        raise ValueError(f"{name}: expected a shape that broadcasts to {form}; got {have}")


def number(
    name: str,
    x: object,
    *,
    above: float | int | None = None,
    least: float | int | None = None,
    below: float | int | None = None,
    most: float | int | None = None,
) -> float:
    """Demand a real number within bounds."""
    if isinstance(x, bool) or not isinstance(x, int | float):
        raise TypeError(f"{name}: expected a number; got {type(x).__name__}")
    if above is not None and not x > above:
        raise ValueError(f"{name}: expected a number above {above}; got {x}")
    if least is not None and not x >= least:
        raise ValueError(f"{name}: expected a number at least {least}; got {x}")
    if below is not None and not x < below:
        raise ValueError(f"{name}: expected a number below {below}; got {x}")
    if most is not None and not x <= most:
        raise ValueError(f"{name}: expected a number at most {most}; got {x}")
    if not -LARGEST <= x <= LARGEST:  # as infinities, NaN and huge ints are not
        raise ValueError(f"{name}: expected a finite number; got {x}")
    return float(x)


def integer(name: str, x: object, *, least: int | None = None) -> int:
    """Demand an integer, at least `least`, that torch can hold."""
    if isinstance(x, bool) or not isinstance(x, int):
        raise TypeError(f"{name}: expected an int; got {type(x).__name__}")
    if least is not None and x < least:
        raise ValueError(f"{name}: expected an int of at least {least}; got {x}")
    if x > FARTHEST:
        raise ValueError(f"{name}: expected an int of at most {FARTHEST}; got {x}")
    return x


def token_ids(**given: object) -> None:
    """Demand token ids, each named by its keyword; `None` is none."""
    for name, x in given.items():
        if x is not None:
            integer(name, x, least=0)


def window_pair(window: object) -> Window:
    """Demand `(left, right)`, each a count of neighbours or None."""
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise TypeError(f"window: expected a pair (left, right); got {window!r}")
    left, right = window
    for name, side in (("window[0]", left), ("window[1]", right)):
        if side is not None:
            integer(name, side, least=0)
    return left, right


def query_key(q: object, k: object) -> tuple[Tensor, Tensor]:
    """Demand q (B, H, T, K) and k (B, G, S, K) with G dividing H."""
    q, k = floating("q", q), floating("k", k)
    rank("q", q, "B H T K")
    rank("k", k, "B G S K")
    like("k", k, "q", q)
    (batch, heads, _, width), groups = q.shape, k.shape[1]
    if heads < 1 or width < 1:
        raise ValueError(f"q: expected (B, H, T, K) with H and K at least 1; got {shape(q)}")
    axis("k", k, 0, batch, "B G S K", "as in q")
    axis("k", k, 3, width, "B G S K", "as in q")
    if groups < 1 or heads % groups != 0:
        raise ValueError(
            f"k: expected (B, G, S, K) with G a divisor of H = {heads}; got {shape(k)}"
        )
    return q, k


def value(v: object, k: Tensor) -> Tensor:
    """Demand v (B, G, S, E) that goes with k."""
    v = floating("v", v)
    rank("v", v, "B G S E")
    like("v", v, "k", k)
    for position, size in enumerate(k.shape[:3]):
        axis("v", v, position, size, "B G S E", "as in k")
    return v


def score_terms(
    q: Tensor,
    k: Tensor,
    mask: object,
    bias: object,
    causal: object,
    window: object,
    scale: object,
    softcap: object,
    sinks: object,
) -> None:
    """Demand that everything that shapes the scores fits q and k."""
    target = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    if mask is not None:
        m = boolean("mask", mask)
        broadcastable("mask", m, target, "B H T S")
        same_device("mask", m, "q", q)
    if bias is not None:
        b = floating("bias", bias)
        broadcastable("bias", b, target, "B H T S")
        same_device("bias", b, "q", q)
    flag("causal", causal)
    if window is not None:
        window_pair(window)
    if scale is not None:
        number("scale", scale)
    if softcap is not None:
        number("softcap", softcap, above=0)
    if sinks is not None:
        one = floating("sinks", sinks)
        rank("sinks", one, "H")
        axis("sinks", one, 0, q.shape[1], "H", "as in q")
        same_device("sinks", one, "q", q)


def every(name: str, fits: Tensor, x: Tensor, wanted: str) -> None:
    """Demand that all of `fits` holds, a test of the values of `x` that `wanted` words.

    Values are seen neither on the meta device nor by the compiler nor inside `vmap`: there nothing
    is demanded.
    """
    if torch.compiler.is_compiling() or fits.is_meta or _batched(fits) or bool(fits.all()):
        return
    wrong = x[~fits][0]
    came = str(wrong.item()) if wrong.ndim == 0 else f"from {wrong.min():g} to {wrong.max():g}"
    raise ValueError(f"{name}: expected {wanted}; got {came}")


def _batched(x: Tensor) -> bool:
    """Whether `vmap` stands behind a tensor, also behind the gradient of `torch.func`."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        if functorch.is_batchedtensor(x):
            return True
        x = functorch.get_unwrapped(x)
    return False


def below(name: str, ids: Tensor, size: int, letter: str) -> None:
    """Demand numbers from 0 to below `size`."""
    every(name, (ids >= 0) & (ids < size), ids, f"numbers from 0 to below {letter} = {size}")


def as_large(name: str, x: object, other_name: str, other: Tensor) -> Tensor:
    """Demand of what a plug-in made of another tensor that it is as large as that."""
    x = tensor(name, x)
    if x.shape != other.shape:
        raise ValueError(
            f"{name}: expected an output of the shape {shape(other)} of {other_name}; "
            f"got {shape(x)}"
        )
    return x


def chosen(x: object, logits: Tensor) -> Tensor:
    """Demand that what a choice made of logits (B, V) is one token a row."""
    x = integral("choose(logits)", x)
    rank("choose(logits)", x, "B")
    axis("choose(logits)", x, 0, logits.shape[0], "B", "as in the logits")
    same_device("choose(logits)", x, "logits", logits)
    return x
