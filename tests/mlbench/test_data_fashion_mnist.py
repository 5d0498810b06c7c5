"""Fashion-MNIST reads its owner's four files, wherever they lie."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from miniatures.fashion import idx, write_fashion

from mlbench.api.errors import DataError
from mlbench.data.fashion_mnist import FashionMnist


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fashion(tmp_path_factory.mktemp("package"))


def test_images_labels_and_the_owners_split(package: Path) -> None:
    data = FashionMnist(str(package))
    assert data.items.counts.tolist() == [7000] * 10
    assert data.items.class_names[data.items.labels[9]] == "Ankle boot"
    first_test = data.items.ids.index("test/00000")
    assert (data.items.splits[first_test - 1], data.items.splits[first_test]) == ("train", "test")
    with gzip.open(package / "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz") as file:
        first = np.frombuffer(file.read(16 + 784)[16:], np.uint8).reshape(28, 28, 1)
    assert np.array_equal(data.load(first_test), first)


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
    for content in (whole[:-20], b"no gzip", gzip.compress(idx(np.zeros(9_999, np.uint8)))):
        labels.write_bytes(content)
        with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: .*get it again"):
            _ = FashionMnist(str(tmp_path)).items
