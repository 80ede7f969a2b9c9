"""Still images, folders and patterns of them, read by Pillow."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rtseg.errors import SourceError
from rtseg.frame import Frame
from rtseg.video.base import BaseSource, Limits, SourceInfo, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXTENSIONS = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp", ".jp2"}
)

TIME_BASE = Fraction(1, 25)
"""Images have no time; they are shown as 25 per second, so that a video can be made of them."""

_WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


def find(path: Path) -> tuple[Path, ...] | None:
    """The images that a path names, in natural order; None if it names none of that kind.

    Raises SourceError for a folder or a pattern without images.
    """
    try:
        return _find(path)
    except OSError:  # no permission on the way: `check_file` says so
        return None


def _find(path: Path) -> tuple[Path, ...] | None:
    if path.is_dir():
        return _listed(path, path.iterdir(), "the folder")
    if path.suffix.lower() in EXTENSIONS and (path.exists() or not glob.has_magic(str(path))):
        return (path,)
    if glob.has_magic(str(path)) and not path.exists():
        found = (Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207
        return _listed(path, found, "the pattern")
    return None


def _listed(path: Path, found: Iterator[Path], what: str) -> tuple[Path, ...]:
    try:
        images = [file for file in found if file.suffix.lower() in EXTENSIONS and file.is_file()]
    except OSError as exc:
        raise SourceError(f"{shown(path)} cannot be listed: {exc.strerror}") from exc
    if not images:
        names = ", ".join(sorted(extension[1:] for extension in EXTENSIONS))
        raise SourceError(f"{what} {shown(path)} has no images; expected files such as {names}")
    return tuple(sorted(images, key=_natural))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts img2 before img10: runs of digits by value, the rest as text."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


class ImageFiles(BaseSource[Path]):
    """Images as BGR frames; the n-th has pts n in units of 1/25 s. Their sizes may differ.

    An image that cannot be read has failed, with a note; if it is the only one, that is a
    SourceError.
    """

    def __init__(
        self,
        path: Path,
        files: Sequence[Path],
        *,
        limits: Limits,
        autorotate: bool,
        max_pixels: int,
    ) -> None:
        super().__init__(limits)
        self.files = tuple(files)
        """All images of the source; `Frame.index` counts them."""
        self._autorotate = autorotate
        self._max_pixels = max_pixels
        self._first = self._first_readable()
        height, width = self._first[1].shape[:2]
        self.info = SourceInfo(
            name=shown(path.name or path),
            kind="images",
            width=width,
            height=height,
            rate=1 / TIME_BASE,
            frames=limits.expected(len(self.files)),
            time_base=TIME_BASE,
            path=_absolute(path),
            inputs=tuple(map(_absolute, self.files)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """A name for the output of each image: its stem, after its number if others share it."""
        shared = Counter(file.stem for file in self.files)
        return tuple(
            file.stem if shared[file.stem] == 1 else f"{index:06d}_{file.stem}"
            for index, file in enumerate(self.files)
        )

    def _first_readable(self) -> tuple[Path, NDArray[np.uint8]]:
        """The first wanted image, which gives the source its size."""
        error: SourceError | None = None
        for file in self.files[:: self._limits.stride]:
            try:
                return file, self._read(file)
            except SourceError as exc:
                error = error or exc
        assert error is not None
        if len(self.files) == 1:
            raise error
        raise SourceError(f"none of {len(self.files)} images can be read; the first: {error}")

    def _raw(self) -> Iterator[Path]:
        return iter(self.files)

    def _frame(self, index: int, raw: Path) -> Frame | None:
        file, image = self._first
        if file != raw:
            try:
                image = self._read(raw)
            except SourceError as exc:
                self.notes.append(str(exc))
                return None
        return Frame(image, index, index, TIME_BASE)

    def _read(self, file: Path) -> NDArray[np.uint8]:
        return read_image(file, autorotate=self._autorotate, max_pixels=self._max_pixels)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links


def read_image(
    path: Path, *, autorotate: bool = True, max_pixels: int = 100_000_000
) -> NDArray[np.uint8]:
    """An image of any mode as (H, W, 3) uint8 BGR.

    Transparent pixels are shown over black, 16 bits are scaled to 8. Raises SourceError if the
    file is missing, damaged, cut short, or larger than `max_pixels`, which is checked before
    anything is decoded.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images; the limit here is the caller's.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_pixels(path, image.size, max_pixels)
                upright = ImageOps.exif_transpose(image) if autorotate else image
                return _bgr(upright)
    except SourceError:
        raise
    except FileNotFoundError as exc:
        raise SourceError(f"no such file: {shown(path)}; check the path") from exc
    except Image.DecompressionBombError as exc:
        # Pillow's own limit, twice MAX_IMAGE_PIXELS, stands above any that is allowed here.
        raise SourceError(f"{shown(path)} has more pixels than are ever decoded: {exc}") from exc
    except (OSError, ValueError, SyntaxError, EOFError) as exc:  # what Pillow raises for damage
        raise SourceError(f"{shown(path)} cannot be read: {_reason(exc)}") from exc


def _check_pixels(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise SourceError(
            f"{shown(path)} is {size[0]}x{size[1]}, more than {max_pixels} pixels; raise "
            "max_pixels (--max-pixels) if you trust the file"
        )


def _reason(exc: Exception) -> str:
    if isinstance(exc, PermissionError):
        return "permission denied; check its permissions"
    if isinstance(exc, UnidentifiedImageError):
        return "it is no image that Pillow knows; expected png, jpg, bmp, tiff or webp"
    return str(exc) or type(exc).__name__


def _bgr(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in _WIDE:
        grey = _narrow(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        over = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(over, rgba)
    rgb = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _narrow(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """16-bit levels (0–65535, also when stored in 32 bits) → 0–255, rounded."""
    scaled = np.rint(grey.astype(np.float32) / 257)
    return np.clip(scaled, 0, 255).astype(np.uint8)
