"""From any file that calls itself an image to RGB: pixel values against those that were put in."""

import struct
import zlib

import numpy as np
import pytest
from miniatures.pictures import save
from PIL import Image

from mlbench.api import DataError
from mlbench.data.decoding import decode_rgb

RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
#: As it is meant to be seen: 2 wide, 3 high.
UPRIGHT = np.array([[RED, GREEN], [BLUE, WHITE], [[9, 8, 7], [60, 50, 40]]], np.uint8)
#: EXIF orientation → the stored pixels of which `UPRIGHT` is shown (EXIF 2.32, table of tag 0x0112).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: np.rot90(UPRIGHT, 2).transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
def test_every_exif_rotation_is_undone(tmp_path, orientation, kind):
    lossless = {"lossless": True} if kind == "webp" else {}
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    path = save(stored, tmp_path / f"a.{kind}", exif=exif(orientation), **lossless)
    assert np.array_equal(decode_rgb(path), UPRIGHT)


def test_a_rotated_jpeg_is_upright(tmp_path):
    stored = Image.new("RGB", (32, 16), tuple(BLUE))
    stored.paste(tuple(RED), (0, 0, 16, 16))
    shown = decode_rgb(save(stored, tmp_path / "a.jpg", exif=exif(8), quality=100))  # a quarter turn to the left
    assert shown.shape == (32, 16, 3)
    assert np.abs(shown[:8].astype(int) - BLUE).max() < 4 and np.abs(shown[-8:].astype(int) - RED).max() < 4


@pytest.mark.parametrize("damaged", [b"Exif\0\0no header", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_leaves_the_pixels_as_they_are_stored(tmp_path, damaged):
    path = save(Image.new("RGB", (16, 8), (200, 100, 50)), tmp_path / "a.jpg", exif=damaged, quality=100)
    assert np.abs(decode_rgb(path).astype(int) - [200, 100, 50]).max() < 3


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(tmp_path, format):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 0))]
    more = {"lossless": True} if format == "WEBP" else {}
    path = save(
        frames[0], tmp_path / "a.x", format=format, save_all=True, append_images=frames[1:], duration=40, **more
    )
    assert np.array_equal(decode_rgb(path), np.full((4, 6, 3), RED))


@pytest.mark.parametrize(("name", "format"), [("a.jpg", "PNG"), ("a.png", "GIF"), ("a.jpeg", "BMP"), ("a.gif", "WEBP")])
def test_the_content_counts_not_the_suffix(tmp_path, name, format):
    more = {"lossless": True} if format == "WEBP" else {}
    path = save(Image.new("RGB", (3, 2), (200, 100, 50)), tmp_path / name, format=format, **more)
    assert decode_rgb(path).tolist() == [[[200, 100, 50]] * 3] * 2


def test_grey_black_and_white_and_palettes_become_rgb(tmp_path):
    assert decode_rgb(save(Image.new("L", (4, 3), 77), tmp_path / "g.png")).tolist() == [[[77] * 3] * 4] * 3
    assert decode_rgb(save(Image.new("1", (4, 3), 1), tmp_path / "b.png")).min() == 255
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 8, 7, 60, 50, 40])
    palette.putpixel((1, 0), 1)
    assert decode_rgb(save(palette, tmp_path / "p.png")).tolist() == [[[9, 8, 7], [60, 50, 40]]]


def test_transparent_and_partial_pixels_lie_over_white(tmp_path):
    image = Image.new("RGBA", (3, 1))
    for at, colour in enumerate([(10, 20, 30, 255), (10, 20, 30, 0), (0, 100, 200, 51)]):
        image.putpixel((at, 0), colour)
    # A fifth of the colour and four fifths of white.
    assert decode_rgb(save(image, tmp_path / "a.png")).tolist() == [[[10, 20, 30], WHITE, [204, 224, 244]]]


def test_a_transparent_grey_level_and_a_transparent_palette_entry_are_white(tmp_path):
    grey = Image.fromarray(np.array([[7, 90]], np.uint8))
    assert decode_rgb(save(grey, tmp_path / "g.png", transparency=7)).tolist() == [[WHITE, [90] * 3]]
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([1, 2, 3, 40, 50, 60])
    palette.putpixel((0, 0), 0)
    assert decode_rgb(save(palette, tmp_path / "p.gif", transparency=1)).tolist() == [[[1, 2, 3], WHITE]]


def test_sixteen_bits_of_grey_are_scaled_and_of_colour_cut(tmp_path):
    for name in ("g.png", "g.tif"):
        grey = save(Image.fromarray(np.array([[0, 257, 32_768, 65_535]], np.uint16)), tmp_path / name)
        assert decode_rgb(grey)[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]
    (tmp_path / "c.png").write_bytes(png(1, 1, 16, 2, struct.pack(">B3H", 0, 0x1234, 0x80FF, 0xFFFF)))
    assert decode_rgb(tmp_path / "c.png").tolist() == [[[0x12, 0x80, 0xFF]]]


@pytest.mark.parametrize("values", [np.array([[0.5]], np.float32), np.array([[70_000]], np.int32)])
def test_pixels_without_a_defined_white_are_refused(tmp_path, values):
    with pytest.raises(DataError, match=r"0\.tif: .*no defined white; convert it"):
        decode_rgb(save(Image.fromarray(values), tmp_path / "0.tif"))


def test_cmyk_and_inverted_cmyk_have_their_colours(tmp_path):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for name in ("a.jpg", "a.tiff"):
        pixels = decode_rgb(save(image, tmp_path / name, **({"quality": 100} if name == "a.jpg" else {})))
        assert np.abs(pixels.astype(int) - RED).max() <= 4


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [1_300, 2_000])
def test_a_decompression_bomb_is_refused_by_name(tmp_path, monkeypatch, side):
    """Of up to twice the limit Pillow only warns, of more it raises."""
    path = save(Image.new("L", (side, 1_000)), tmp_path / "bomb.png")
    assert decode_rgb(path).shape == (1_000, side, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900_000)
    with pytest.raises(DataError, match=r"bomb\.png: cannot be read as an image: .*decompression bomb"):
        decode_rgb(path)


def test_a_small_file_that_claims_gigapixels_is_refused_before_it_is_unpacked(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(100_000, 100_000, 8, 2, b"\0" * 50))
    with pytest.raises(DataError, match=r"bomb\.png: .*decompression bomb"):
        decode_rgb(tmp_path / "bomb.png")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg: no such file; unpack"):
        decode_rgb(tmp_path / "gone.jpg")


@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
def test_half_a_file_is_refused_by_name(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / f"half.{kind}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"half\.{kind}: cannot be read as an image: .+; replace or remove"):
        decode_rgb(path)


def png(width, height, bits, colour, rows):
    """A PNG by its specification, of kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
