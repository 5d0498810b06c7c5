"""The embedded default dataset: Unicode characters, each drawn in the faces that matplotlib ships."""

import hashlib
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import PIL
from PIL import features

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import ConfigError
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo
from mlbench.data.cache import Arrays, cached_arrays
from mlbench.data.glyph_drawing import RECIPE, SIZE, draw_glyphs, font_files, pixels_of


class Glyphs(Dataset):
    """Class = Unicode character, sample = that character in one font face, grey 32x32. The face is the view.

    About 24,800 images of 2,080 characters below U+2300 (Latin, Greek, Cyrillic, Armenian, Georgian, Lao, phonetic
    letters, arrows, mathematics), 6 to 16 of each; nothing is downloaded. See
    :func:`mlbench.data.glyph_drawing.draw_glyphs` for the rule.

    **Order of the classes.** Ascending SHA-256 of the character in UTF-8: fixed, but without any pattern.
    Class-disjoint protocols cut the class list into runs of neighbours. In the order of code points those runs would be
    scripts: Latin trains, Georgian, arrows and mathematics test, and each fold validates on another script. Retrieval
    by plain pixels scores MAP@R 0.22 on the first and 0.28 on the second half of the code points, but 0.275 on either
    half in this order: folds are exchangeable, and a validation score says something about the test. A character keeps
    its place relative to all others when another version of matplotlib adds or drops some.

    Args:
        max_classes: Keep only the first so many classes of that order.

    Raises:
        ConfigError: If ``max_classes`` is not between 1 and the number of classes.
        DataError: If matplotlib's font folder is missing.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Unicode characters in the font faces that matplotlib ships, 32x32 grey, made on the spot",
        citation="DejaVu fonts, https://dejavu-fonts.github.io; STIX fonts, https://www.stixfonts.org",
        tags=("grey", "small", "views"),
    )
    licence: ClassVar[str] = "DejaVu fonts licence (Bitstream Vera); STIX font licence; texts in matplotlib's wheel"

    def __init__(self, max_classes: int | None = None) -> None:
        if max_classes is not None and max_classes < 1:
            raise ConfigError(f"glyphs: max_classes must be at least 1, got {max_classes}")
        self._max_classes = max_classes

    @cached_property
    def items(self) -> ItemTable:
        """The item table; ids are ``U+0041/DejaVuSans``, class names ``U+0041 LATIN CAPITAL LETTER A``."""
        codes, faces, _ = self._arrays
        # The codes come in runs, one per class, in the order of the classes.
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        labels = np.cumsum(np.diff(codes, prepend=codes[0]) != 0).astype(np.int64)
        face_names = [file.stem for file in font_files()]
        views = tuple(face_names[face] for face in faces)
        return ItemTable(
            ids=tuple(f"U+{code:04X}/{view}" for code, view in zip(codes, views, strict=True)),
            labels=labels,
            class_names=tuple(f"U+{code:04X} {unicodedata.name(chr(code))}" for code in codes[starts]),
            views=views,
        )

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """Ink 255 on a background of 0, ``[32, 32, 1]``."""
        return self._arrays[2][index, :, :, None]

    @cached_property
    def content_hash(self) -> str:
        """Over the pixels, labels, ids and names that are really used, whatever drew them."""
        items = self.items
        return digest(["glyphs", self._arrays[2], items.labels, *items.ids, *items.class_names])

    @cached_property
    def _arrays(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Code point ``[N]`` and face ``[N]`` of every image, and the images ``[N, 32, 32]``."""
        files = font_files()
        arrays = cached_arrays("glyphs", cache_key(files), lambda: _build(files))
        codes, faces = arrays["codes"].astype(np.int32), arrays["faces"].astype(np.uint8)
        end = self._end(codes)
        return codes[:end], faces[:end], np.asarray(arrays["pixels"], np.uint8)[:end]

    def _end(self, codes: npt.NDArray[np.int32]) -> int:
        """Number of images in the first ``max_classes`` classes."""
        starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
        if self._max_classes is None or self._max_classes == len(starts):
            return len(codes)
        if self._max_classes > len(starts):
            raise ConfigError(f"glyphs: max_classes={self._max_classes}, but there are {len(starts)} classes; lower it")
        return int(starts[self._max_classes])


def _build(files: list[Path]) -> Arrays:
    glyphs = draw_glyphs(files)
    order = sorted(glyphs, key=lambda code: hashlib.sha256(chr(code).encode()).digest())
    return {
        "codes": np.array([code for code in order for _ in glyphs[code]], np.int32),
        "faces": np.array([face for code in order for face in glyphs[code]], np.uint8),
        "pixels": np.concatenate([pixels_of(glyphs[code]) for code in order]).reshape(-1, SIZE, SIZE),
    }


def cache_key(files: list[Path]) -> str:
    """Over all that can change a pixel or a choice: recipe, faces, the rasteriser and Python's Unicode tables."""
    versions = f"{RECIPE} {PIL.__version__} {features.version('freetype2')} {unicodedata.unidata_version}"
    fonts = (part for file in files for part in (file.name, file.read_bytes()))
    return digest([versions, *fonts])[:32]
