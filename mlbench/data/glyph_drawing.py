"""The rule that makes the glyphs: which characters, drawn how, and which drawings are left out."""

import importlib.util
import unicodedata
from collections import Counter
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from mlbench.api.errors import DataError

#: Raise it when a change here changes a pixel or a choice: it enters the cache key.
RECIPE = 1
SIZE = 32

#: Matplotlib's other faces are of no use: cm* follow TeX's own encodings, STIXSiz* hold only brackets and
#: operators, LastResort draws boxes.
_USABLE = ("DejaVu", "STIXGeneral", "STIXNonUni")
#: The characters of the dataset.
GLYPHS = range(0x2300)
_POINTS, _CANVAS, _BOX = 25, 96, 28

#: The drawings of one character: face index -> the bytes of a grey ``[32, 32]`` image.
_Drawings: TypeAlias = dict[int, bytes]


def font_files() -> list[Path]:
    """The usable faces in matplotlib's font folder, by file name.

    Raises:
        DataError: If there are none.
    """
    # Asking for the spec finds the folder without importing matplotlib, which takes longer than reading the cache.
    spec = importlib.util.find_spec("matplotlib")
    roots = [] if spec is None else list(spec.submodule_search_locations or [])
    found = [path for root in roots for path in Path(root, "mpl-data", "fonts", "ttf").glob("*.ttf")]
    usable = sorted((path for path in found if path.name.startswith(_USABLE)), key=lambda path: path.name)
    if not usable:
        raise DataError(
            f"glyphs: matplotlib's font folder was not found (looked in {roots or 'no installed matplotlib'}); "
            "install matplotlib from PyPI, its wheel ships the faces"
        )
    return usable


def draw_glyphs(
    files: list[Path], codes: range = GLYPHS, min_faces: int = 8, min_images: int = 6
) -> dict[int, _Drawings]:
    """Code point -> its distinct drawings, in ascending order of code point and face.

    Characters among ``codes`` of the categories L, N, P and S that at least ``min_faces`` faces cover are drawn. A
    character is dropped when more than one face draws it pixel-identical to an earlier character that was not dropped
    for this reason (Latin A, Greek Alpha, Cyrillic A); exact copies within a character are dropped; characters left
    with fewer than ``min_images`` images are dropped.
    """
    covered = [_wanted(file, codes) for file in files]
    faces_of = Counter(code for face in covered for code in face)
    chosen = sorted(code for code, faces in faces_of.items() if faces >= min_faces)
    fonts = [ImageFont.truetype(str(file), _POINTS, layout_engine=ImageFont.Layout.BASIC) for file in files]
    seen: set[tuple[int, bytes]] = set()
    kept: dict[int, _Drawings] = {}
    for code in chosen:
        drawings = ((face, _draw(font, code)) for face, font in enumerate(fonts) if code in covered[face])
        drawn = {face: image for face, image in drawings if image is not None}
        if sum(drawing in seen for drawing in drawn.items()) > 1:
            continue
        seen.update(drawn.items())
        distinct = _without_copies(drawn)
        if len(distinct) >= min_images:
            kept[code] = distinct
    return kept


def pixels_of(drawings: _Drawings) -> npt.NDArray[np.uint8]:
    """All drawings of a character, ``[images, 32, 32]``."""
    return np.frombuffer(b"".join(drawings.values()), np.uint8).reshape(-1, SIZE, SIZE)


def _wanted(file: Path, codes: range) -> set[int]:
    """Code points among ``codes`` in the wanted categories that a face covers."""
    with TTFont(file, lazy=True) as font:
        covered = font.getBestCmap()
    return {code for code in covered if code in codes and unicodedata.category(chr(code))[0] in "LNPS"}


def _draw(font: ImageFont.FreeTypeFont, code: int) -> bytes | None:
    """Ink 0..255 on 0, cropped, made to fit 28x28 (never enlarged), centred on 32x32; None if there is no ink."""
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    ImageDraw.Draw(canvas).text((_CANVAS // 3, _CANVAS // 3), chr(code), fill=255, font=font)
    ink = canvas.getbbox()
    if ink is None:
        return None
    glyph = canvas.crop(ink)
    shrink = _BOX / max(glyph.size)
    if shrink < 1:
        width, height = (max(1, round(side * shrink)) for side in glyph.size)
        glyph = glyph.resize((width, height), Image.Resampling.BILINEAR)
    image = Image.new("L", (SIZE, SIZE))
    image.paste(glyph, ((SIZE - glyph.width) // 2, (SIZE - glyph.height) // 2))
    return image.tobytes()


def _without_copies(drawn: _Drawings) -> _Drawings:
    first_face = {image: face for face, image in reversed(drawn.items())}
    return {face: image for face, image in drawn.items() if first_face[image] == face}
