import hashlib
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import get_data_path

from mlbench.api.errors import ConfigError, DataError
from mlbench.data import glyph_drawing, glyphs
from mlbench.data.glyphs import Glyphs


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def full(cache: Path) -> Glyphs:
    """All glyphs, drawn here and not taken from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLBENCH_CACHE", str(cache))
        dataset = Glyphs()
        assert dataset.items
    return dataset


@pytest.fixture(scope="module")
def pixels(full: Glyphs) -> npt.NDArray[np.uint8]:
    return np.stack([full.load(index) for index in range(len(full.items))])


def characters(dataset: Glyphs) -> list[str]:
    return [chr(int(name.split()[0][2:], 16)) for name in dataset.items.class_names]


def test_there_are_about_as_many_as_documented(full: Glyphs) -> None:
    # 24,778 and 2,080 with the fonts of matplotlib 3.11; another release may ship other drawings.
    assert len(full.items) == pytest.approx(24_778, rel=0.02)
    assert len(full.items.class_names) == pytest.approx(2_080, rel=0.02)
    counts = full.items.counts
    assert counts.min() >= 6 and counts.max() <= 22 and np.median(counts) == 12


def test_images_are_white_ink_on_black_that_leaves_a_border(pixels: npt.NDArray[np.uint8]) -> None:
    assert pixels.shape[1:] == (32, 32, 1) and pixels.dtype == np.uint8
    assert np.all(pixels.max(axis=(1, 2, 3)) > 100)
    border = np.concatenate([pixels[:, :2], pixels[:, -2:]], axis=1)
    assert border.max() == 0 and pixels[:, :, [0, 1, -2, -1]].max() == 0


def test_the_ink_is_centred(pixels: npt.NDArray[np.uint8]) -> None:
    for axis in (1, 2):
        inked = pixels[..., 0].any(axis=3 - axis)
        before, after = inked.argmax(axis=1), inked[:, ::-1].argmax(axis=1)
        assert np.all((after - before >= 0) & (after - before <= 1))


def test_no_class_holds_an_image_twice(full: Glyphs, pixels: npt.NDArray[np.uint8]) -> None:
    seen = Counter((label, image.tobytes()) for label, image in zip(full.items.labels.tolist(), pixels, strict=True))
    assert max(seen.values()) == 1


def test_no_two_classes_share_more_than_one_face(full: Glyphs, pixels: npt.NDArray[np.uint8]) -> None:
    by_drawing: dict[tuple[str, bytes], list[int]] = {}
    views = full.items.views
    assert views is not None
    for view, image, label in zip(views, pixels, full.items.labels.tolist(), strict=True):
        by_drawing.setdefault((view, image.tobytes()), []).append(label)
    pairs = Counter(tuple(labels) for labels in by_drawing.values() if len(labels) > 1)
    assert all(shared == 1 for shared in pairs.values())


def test_one_drawing_is_one_class_and_the_earliest_character_keeps_it(full: Glyphs) -> None:
    kept = set(characters(full))
    latin, greek, cyrillic = "A", "\N{GREEK CAPITAL LETTER ALPHA}", "\N{CYRILLIC CAPITAL LETTER A}"
    assert latin in kept and not {greek, cyrillic} & kept
    assert {"\N{GREEK SMALL LETTER OMEGA}", "\N{CYRILLIC SMALL LETTER ZHE}", "\N{RIGHTWARDS ARROW}", "7", "?"} <= kept


def test_characters_are_letters_numbers_punctuation_and_symbols_below_2300(full: Glyphs) -> None:
    kept = characters(full)
    assert all(ord(character) < 0x2300 and unicodedata.category(character)[0] in "LNPS" for character in kept)
    assert full.items.class_names == tuple(
        f"U+{ord(character):04X} {unicodedata.name(character)}" for character in kept
    )


def test_classes_are_in_the_order_of_their_hash(full: Glyphs) -> None:
    hashes = [hashlib.sha256(character.encode()).hexdigest() for character in characters(full)]
    assert hashes == sorted(hashes)
    assert np.all(np.diff(full.items.labels) >= 0)


def test_the_view_is_the_font_face(full: Glyphs) -> None:
    assert full.items.views is not None
    faces = set(full.items.views)
    assert "DejaVuSerif-BoldItalic" in faces and "STIXGeneral" in faces and len(faces) <= 22
    assert not any(face.startswith(("cm", "LastResort", "STIXSiz")) for face in faces)
    shipped = {path.stem for path in Path(get_data_path(), "fonts", "ttf").glob("*.ttf")}
    assert faces <= shipped
    index = full.items.ids.index("U+0041/DejaVuSerif-BoldItalic")
    assert full.items.views[index] == "DejaVuSerif-BoldItalic"
    assert full.items.class_names[full.items.labels[index]] == "U+0041 LATIN CAPITAL LETTER A"


def test_a_second_start_reads_the_cache_and_gets_the_same(
    full: Glyphs, pixels: npt.NDArray[np.uint8], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBENCH_CACHE", str(cache))
    monkeypatch.setattr(glyphs, "draw_glyphs", lambda files: pytest.fail("drawn again"))
    again = Glyphs()
    assert again.items.ids == full.items.ids
    assert again.content_hash == full.content_hash
    assert np.array_equal(np.stack([again.load(index) for index in range(len(again.items))]), pixels)


def test_max_classes_keeps_the_first_ones(full: Glyphs, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLBENCH_CACHE", str(cache))
    some = Glyphs(max_classes=100)
    count = len(some.items)
    assert some.items.class_names == full.items.class_names[:100]
    assert some.items.ids == full.items.ids[:count]
    assert full.items.labels[count - 1] == 99 and full.items.labels[count] == 100
    assert np.array_equal(some.load(count - 1), full.load(count - 1))
    assert len({some.content_hash, full.content_hash, Glyphs(max_classes=99).content_hash}) == 3
    everything = Glyphs(max_classes=len(full.items.class_names))
    assert everything.content_hash == full.content_hash


def test_the_content_hash_notices_one_pixel(full: Glyphs, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLBENCH_CACHE", str(cache))
    changed = Glyphs()
    changed.load(5)[3, 3, 0] ^= 1
    assert changed.content_hash != full.content_hash


def test_impossible_sizes_are_refused(cache: Path, full: Glyphs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLBENCH_CACHE", str(cache))
    with pytest.raises(ConfigError, match="max_classes must be at least 1, got 0"):
        Glyphs(max_classes=0)
    with pytest.raises(ConfigError, match=rf"max_classes=99999, but there are {len(full.items.class_names)} classes"):
        _ = Glyphs(max_classes=99_999).items


def test_missing_fonts_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyph_drawing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"font folder was not found .*; install matplotlib"):
        _ = Glyphs().items
