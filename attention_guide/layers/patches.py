"""Pictures to tokens: cut in patches, joined by class tokens and registers, placed on a grid."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_dtype, check_sizes


class PatchEmbedding(nn.Module):
    r"""Patch embedding, $x_n = W \, \mathrm{flatten}(\text{patch}_n) + b$: a token a patch.

    Patches are read as a book is: left to right, then down. Cutting and multiplying is one
    convolution whose kernel is a patch; with a stride below the patch size they overlap.

    Args:
        d_model: Width D of a token.
        patch_size: Rows and columns P of a patch.
        n_channels: Channels C of the image.
        stride: Pixels from one patch to the next, down and across; `None` for P: no overlap.
        bias: Learn a bias.

    Cost:
        2 · B · N · C · P² · D flops; C · P² · D weights.

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929,
        equation 1, where W is E. Overlap: Gong et al., "AST: Audio Spectrogram Transformer",
        Interspeech 2021, arXiv:2104.01778.

    Examples:
        >>> import torch
        >>> PatchEmbedding(16, patch_size=4)(torch.ones(2, 3, 8, 12)).shape
        torch.Size([2, 6, 16])
    """

    def __init__(
        self,
        d_model: int,
        patch_size: int,
        n_channels: int = 3,
        *,
        stride: tuple[int, int] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model, patch_size=patch_size, n_channels=n_channels)
        _checks.flag("bias", bias)
        self.patch_size = patch_size
        self.stride = _extents("stride", (patch_size, patch_size) if stride is None else stride)
        self.proj = nn.Conv2d(n_channels, d_model, patch_size, self.stride, bias=bias)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches in an image of `height` times `width` pixels.

        Raises:
            ValueError: The image is smaller than a patch, or patches without overlap leave some
                of it over.
            TypeError: A size isn't an int.
        """
        check_sizes(least=0, height=height, width=width)
        rows, columns = (
            (pixels - self.patch_size) // step + 1
            for pixels, step in zip((height, width), self.stride, strict=True)
        )
        whole = self.stride != (self.patch_size, self.patch_size) or (
            (rows * self.patch_size, columns * self.patch_size) == (height, width)
        )
        if rows < 1 or columns < 1 or not whole:
            raise ValueError(
                f"image: expected (B, C, height, width) of whole patches of {self.patch_size}; "
                f"got height {height}, width {width}"
            )
        return rows, columns

    def forward(self, image: Float[Tensor, "B C height width"]) -> Float[Tensor, "B N D"]:
        """Cut `image`, `(B, C, height, width)`, and embed its N patches, `(B, N, D)`."""
        _checks.floating("image", image)
        channels = self.proj.in_channels
        if image.ndim != 4 or image.shape[1] != channels:
            raise ValueError(
                f"image: expected (B, C, height, width) with C = {channels}; "
                f"got {_checks.shape(image)}"
            )
        check_dtype("image", image, self.proj.weight)
        self.grid(*image.shape[2:])
        return self.proj(image).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class GridPositions(nn.Module):
    """Learned positions in two dimensions: a row to learn for each cell of a grid.

    A larger or smaller image has another grid: the cells' rows are then interpolated to it, as
    the pixels of a picture are.

    Args:
        d_model: Width D.
        grid: Rows and columns of the grid.
        n_first: Tokens in front of the grid, each with a row of its own that is never
            interpolated.

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929,
        sections 3.1 and 3.2. The interpolation is bicubic, as in DeiT: Touvron et al., ICML 2021,
        arXiv:2012.12877.

    Examples:
        >>> import torch
        >>> positions = GridPositions(4, (2, 3), n_first=1)
        >>> positions(torch.zeros(1, 7, 4)).shape
        torch.Size([1, 7, 4])
        >>> positions(torch.zeros(1, 1 + 4 * 6, 4), grid=(4, 6)).shape
        torch.Size([1, 25, 4])
    """

    def __init__(self, d_model: int, grid: tuple[int, int], *, n_first: int = 0) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        check_sizes(least=0, n_first=n_first)
        self.grid = _extents("grid", grid)
        self.n_first = n_first
        n_cells = self.grid[0] * self.grid[1]
        self.weight = nn.Parameter(torch.empty(n_first + n_cells, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(
        self, x: Float[Tensor, "B T D"], grid: tuple[int, int] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Add to `x`, `(B, T, D)`: the first tokens, then the cells of `grid`."""
        grid = self.grid if grid is None else _extents("grid", grid)
        width = self.weight.shape[1]
        _checks.floating("x", x)
        if x.ndim != 3 or x.shape[1:] != (self.n_first + grid[0] * grid[1], width):
            raise ValueError(
                f"x: expected (B, T, D) with T = {self.n_first} + {grid[0]} · {grid[1]}, "
                f"D = {width}; got {_checks.shape(x)}"
            )
        check_dtype("x", x, self.weight)
        return x + (self.weight if grid == self.grid else self._resized(grid))

    def _resized(self, grid: tuple[int, int]) -> Tensor:
        first, cells = self.weight[: self.n_first], self.weight[self.n_first :]
        picture = cells.T.reshape(1, -1, *self.grid)
        resized = F.interpolate(picture, size=grid, mode="bicubic", align_corners=False)
        return torch.cat([first, resized.flatten(2)[0].T])


class PatchTokens(nn.Module):
    """An image as a sequence: class tokens, registers, patches, with positions added.

    ```
    image (B, C, height, width) ─ patches ─▶ (B, N, D) ─┐
                                   class tokens (F, D) ─┼─ + positions ─▶ (B, F + R + N, D)
                                      registers (R, D) ─┘
    ```

    Class tokens have positions; registers have none, being nowhere.

    Args:
        d_model: Width D of a token.
        image_size: Height and width of the images that the positions are learned for.
        patch_size: Rows and columns of a patch.
        n_channels: Channels C of the image.
        stride: As `PatchEmbedding` has it.
        n_class_tokens: How many learned tokens F to put in front, for reading the result from.
        n_registers: How many learned tokens R to put after them, for the model to write on.
        bias: Learn a bias in the patch embedding.

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929,
        equation 1. Registers: Darcet et al., "Vision Transformers Need Registers", ICLR 2024,
        arXiv:2309.16588.

    Examples:
        >>> import torch
        >>> tokens = PatchTokens(16, (8, 8), 4, n_class_tokens=1, n_registers=2)
        >>> tokens(torch.ones(2, 3, 8, 8)).shape, tokens.n_extra
        (torch.Size([2, 7, 16]), 3)
    """

    def __init__(
        self,
        d_model: int,
        image_size: tuple[int, int],
        patch_size: int,
        n_channels: int = 3,
        *,
        stride: tuple[int, int] | None = None,
        n_class_tokens: int = 1,
        n_registers: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        _extents("image_size", image_size)
        check_sizes(least=0, n_class_tokens=n_class_tokens, n_registers=n_registers)
        self.patches = PatchEmbedding(d_model, patch_size, n_channels, stride=stride, bias=bias)
        grid = self.patches.grid(*image_size)
        self.positions = GridPositions(d_model, grid, n_first=n_class_tokens)
        self.class_tokens = _learned(n_class_tokens, d_model)
        self.registers = _learned(n_registers, d_model)

    @property
    def n_extra(self) -> int:
        """Tokens in front of the patches: class tokens and registers."""
        extra = (self.class_tokens, self.registers)
        return sum(0 if tokens is None else len(tokens) for tokens in extra)

    def forward(self, image: Float[Tensor, "B C height width"]) -> Float[Tensor, "B T D"]:
        """Tokens of `image`, `(B, C, height, width)` → `(B, T, D)` with T = F + R + N.

        Raises:
            ValueError: A shape that doesn't fit, or an image that isn't whole patches.
            TypeError: Not floating point.
        """
        x = self.patches(image)
        batch, n_first = len(x), self.positions.n_first
        if self.class_tokens is not None:
            x = torch.cat([self.class_tokens.expand(batch, -1, -1), x], dim=1)
        x = self.positions(x, self.patches.grid(*image.shape[2:]))
        if self.registers is None:
            return x  # type: ignore[no-any-return]
        registers = self.registers.expand(batch, -1, -1)
        return torch.cat([x[:, :n_first], registers, x[:, n_first:]], dim=1)


def _extents(name: str, pair: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{name}: expected a pair (down, across); got {pair!r}")
    for i, size in enumerate(pair):
        _checks.integer(f"{name}[{i}]", size, least=1)
    return pair[0], pair[1]


def _learned(n: int, d_model: int) -> nn.Parameter | None:
    return nn.Parameter(torch.randn(n, d_model) * 0.02) if n else None
