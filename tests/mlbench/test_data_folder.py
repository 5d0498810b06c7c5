import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlbench.api import digest
from mlbench.api.errors import ConfigError, DataError
from mlbench.data.digits import Digits
from mlbench.data.folder import Folder


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def plain(colour: tuple[int, int, int] = (200, 100, 50), size: tuple[int, int] = (12, 8)) -> Image.Image:
    return Image.new("RGB", size, colour)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two PNGs each."""
    for name in ("birds", "ants"):
        for index in (2, 1):
            save(plain((index, 0, len(name))), tmp_path / "set" / name / f"{index}.png")
    return tmp_path / "set"


def loaded(root: Path, image: Image.Image, name: str, **options: object) -> np.ndarray:
    save(image, root / "ants" / name, **options)
    dataset = Folder(str(root))
    return dataset.load(dataset.items.ids.index(f"ants/{name}"))


def test_classes_and_images_are_sorted(root: Path) -> None:
    items = Folder(str(root)).items
    assert items.class_names == ("ants", "birds")
    assert items.ids == ("ants/1.png", "ants/2.png", "birds/1.png", "birds/2.png")
    assert items.labels.tolist() == [0, 0, 1, 1] and items.labels.dtype == np.int64
    image = Folder(str(root)).load(3)
    assert image.shape == (8, 12, 3) and image.dtype == np.uint8 and image[0, 0].tolist() == [2, 0, 5]


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "JPG", "Png"])
def test_the_usual_formats_are_read(root: Path, extension: str) -> None:
    image = loaded(root, plain(), f"x.{extension}")
    assert image.shape == (8, 12, 3)
    assert np.abs(image.astype(int) - [200, 100, 50]).max() <= 6


def test_only_images_count_and_nested_folders_belong_to_their_class(root: Path) -> None:
    (root / "ants" / "notes.txt").write_text("no image")
    (root / "readme.md").write_text("no class")
    save(plain(), root / ".trash" / "a.png")
    save(plain(), root / "ants" / ".hidden" / "a.png")
    save(plain(), root / "ants" / "._1.png")
    save(plain(), root / "ants" / "more" / "a.png")
    items = Folder(str(root)).items
    assert items.class_names == ("ants", "birds")
    assert items.ids[:3] == ("ants/1.png", "ants/2.png", "ants/more/a.png")


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_truncated_image_is_named_with_the_reason(root: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = save(Image.fromarray(noise), root / "ants" / f"0.{kind}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"ants.0\.{kind}: cannot be read as an image: .*truncated.*; replace"):
        Folder(str(root)).load(0)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40])
def test_a_file_that_is_no_image_is_named(root: Path, content: bytes) -> None:
    (root / "ants" / "0.png").write_bytes(content)
    with pytest.raises(DataError, match=r"ants.0\.png: cannot be read as an image"):
        Folder(str(root)).load(0)


def test_a_class_with_one_image_is_named(root: Path) -> None:
    (root / "birds" / "1.png").unlink()
    with pytest.raises(DataError, match=r"class 'birds' in .*birds has 1 image, needs at least 2; add images, or move"):
        _ = Folder(str(root)).items
    assert len(Folder(str(root), min_images=1).items) == 3
    (root / "cats").mkdir()
    with pytest.raises(DataError, match=r"class 'birds' .* \(and 1 more such classes\)"):
        _ = Folder(str(root)).items


def test_min_images_is_checked(root: Path) -> None:
    with pytest.raises(DataError, match=r"class 'ants' in .* has 2 images, needs at least 3"):
        _ = Folder(str(root), min_images=3).items
    with pytest.raises(ConfigError, match="min_images must be at least 1, got 0"):
        Folder(str(root), min_images=0)


def test_a_relative_path_that_leads_nowhere_comes_with_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        _ = Folder("photos").items
    assert f"photos does not exist in {tmp_path}; set `path`" in str(error.value)


def test_folders_that_hold_no_dataset_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; set `path`"):
        _ = Folder(str(tmp_path / "nowhere")).items
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file is not a folder"):
        _ = Folder(str(tmp_path / "file")).items
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match=r"set has no class folders; put the images of each class into"):
        _ = Folder(str(tmp_path / "set")).items
    save(plain(), tmp_path / "set" / "a.png")
    with pytest.raises(DataError, match=r"set holds images but no class folders"):
        _ = Folder(str(tmp_path / "set")).items
    (tmp_path / "set" / "ants").mkdir()
    with pytest.raises(DataError, match=r"no images under .*set in 1 class folders; .*\.jpg, "):
        _ = Folder(str(tmp_path / "set")).items


def test_a_file_name_that_is_no_text_is_refused(root: Path) -> None:
    try:
        shutil.copy(root / "ants" / "1.png", bytes(root / "ants") + b"/\xff.png")
    except OSError:
        pytest.skip("this file system stores text names only")
    with pytest.raises(DataError, match=r"is not valid UTF-8; rename it"):
        _ = Folder(str(root)).items


def test_the_hash_covers_names_and_bytes_but_not_the_place(root: Path, tmp_path: Path) -> None:
    first = Folder(str(root)).content_hash
    files = [root / "ants" / "1.png", root / "ants" / "2.png", root / "birds" / "1.png", root / "birds" / "2.png"]
    assert first == digest(part for file in files for part in (file.relative_to(root).as_posix(), file.read_bytes()))
    assert first == Folder(str(shutil.copytree(root, tmp_path / "copy"))).content_hash
    save(plain((1, 2, 3)), root / "ants" / "1.png")
    changed = Folder(str(root)).content_hash
    (root / "ants" / "1.png").rename(root / "ants" / "0.png")
    assert len({first, changed, Folder(str(root)).content_hash}) == 3


def test_digits_are_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Digits()
    assert len(dataset.items) == 1797
    assert dataset.items.class_names == tuple("0123456789")
    assert (dataset.items.counts.min(), dataset.items.counts.max()) == (174, 183)
    images = np.stack([dataset.load(index) for index in range(len(dataset.items))])
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.uint8
    assert images.min() == 0 and images.max() == 255 and len(np.unique(images)) == 17
    assert dataset.content_hash == Digits().content_hash
