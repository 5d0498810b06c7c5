"""Fashion-MNIST reads its owner's four files, wherever they lie."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from mlbench.api.errors import DataError
from mlbench.data.fashion_mnist import FashionMnist


def _idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape) + values.tobytes()


def _write(folder: Path) -> None:
    folder.mkdir(parents=True)
    for stem, count, shade in (("train", 60_000, 10), ("t10k", 10_000, 90)):
        images = np.full((count, 28, 28), shade, np.uint8)
        images[0, 0, 1] = 255
        labels = np.fromiter(itertools.islice(itertools.cycle(range(10)), count), np.uint8)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(_idx(values), 1))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("package")
    _write(root / "usr/share/datasets/fashion-mnist")
    return root


def test_images_labels_and_the_owners_split(package: Path) -> None:
    data = FashionMnist(str(package))
    assert len(data.items) == FashionMnist.expected.items
    assert data.items.counts.tolist() == [7000] * 10
    assert data.items.class_names[data.items.labels[9]] == "Ankle boot"
    first_test = data.items.ids.index("test/00000")
    assert (data.items.splits[first_test - 1], data.items.splits[first_test]) == ("train", "test")
    image = data.load(first_test)
    assert image.shape == (28, 28, 1)
    assert (image[0, 1, 0], image[1, 0, 0], image[0, 0, 0]) == (255, 90, 90)


def test_the_package_and_its_folder_of_files_are_the_same(package: Path) -> None:
    files = package / "usr/share/datasets/fashion-mnist"
    assert FashionMnist(str(files)).content_hash == FashionMnist(str(package)).content_hash


def test_missing_cut_and_foreign_files_are_named(package: Path, tmp_path: Path) -> None:
    files = package / "usr/share/datasets/fashion-mnist"
    for file in files.iterdir():
        (tmp_path / file.name).symlink_to(file)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    whole = labels.read_bytes()
    labels.unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: is missing"):
        _ = FashionMnist(str(tmp_path)).items
    for content in (whole[:-20], b"no gzip", gzip.compress(_idx(np.zeros(9_999, np.uint8)))):
        labels.write_bytes(content)
        with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: .*get it again"):
            _ = FashionMnist(str(tmp_path)).items
