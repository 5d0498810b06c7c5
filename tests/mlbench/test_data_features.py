"""The vectors of `features`: of which images, by which trunk, made once."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import pad

import mlbench
from mlbench.api import ConfigError, DataError
from mlbench.data import features
from mlbench.data.features import Features
from mlbench.models.conv import ConvSmall

CLASSES, EACH = 12, 4
TRUNK = {"id": "conv-small", "width": 2}
TRANSFORMS = {"size": 34, "mean": [0.2], "std": [0.35]}


@pytest.fixture(scope="module")
def drawn():
    """Images, ``[N, 32, 32, 3]``, four of a class."""
    return np.random.default_rng(0).integers(0, 256, (CLASSES * EACH, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    """The same as files."""
    folder = tmp_path_factory.mktemp("images")
    for index, image in enumerate(drawn):
        (folder / f"{index // EACH:02d}").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{index // EACH:02d}" / f"{index % EACH}.png")
    return folder


@pytest.fixture
def dataset(folder, tmp_path, monkeypatch):
    """Makes the dataset, with a cache folder that nothing is in."""
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "cache"))

    def make(**change):
        of = {"id": "folder", "path": str(folder)}
        return Features(**{"of": of, "trunk": TRUNK, "transforms": TRANSFORMS, **change})

    return make


@pytest.fixture
def seen(monkeypatch):
    """How many images each call of the trunk sees in this process."""
    seen, forward = [], ConvSmall.forward
    monkeypatch.setattr(ConvSmall, "forward", lambda self, images: seen.append(len(images)) or forward(self, images))
    return seen


def test_a_vector_is_what_the_trunk_of_seed_0_gives_for_that_image(dataset, drawn):
    made = dataset()
    assert made.items.counts.tolist() == [EACH] * CLASSES and made.vector_size == 64
    torch.manual_seed(0)
    trunk = ConvSmall(in_channels=3, width=2).eval()
    for index in (0, 17, len(drawn) - 1):
        image = pad(torch.from_numpy(drawn[index]).permute(2, 0, 1).double(), (1, 1, 1, 1))  # 32 to 34
        with torch.inference_mode():
            expected = trunk.double()(((image / 255 - 0.2) / 0.35)[None])[0]
        assert made.load(index).dtype == np.float32
        assert np.allclose(made.load(index), expected, rtol=1e-4, atol=1e-5)


def test_the_content_is_known_before_any_image_was_seen_and_names_all_that_decides(dataset, folder, seen):
    content = dataset().content_hash
    assert dataset(transforms=TRANSFORMS | {"resize": None}).content_hash == content  # a default, said
    changes = (
        {"of": {"id": "digits"}},
        {"trunk": {"id": "conv-small", "width": 3}},
        {"transforms": TRANSFORMS | {"size": 32}},
    )
    others = {dataset(**change).content_hash for change in changes}
    assert len(others | {content}) == 4 and not seen


def test_they_are_made_once_and_go_on_after_an_interruption(dataset, seen, monkeypatch):
    monkeypatch.setattr(features, "_CHUNK", 20)
    monkeypatch.setattr(features, "_BATCH", 8)

    class Left(Exception):
        pass

    def leave(done, total, left):
        told.append((done, total))
        if done == 36:
            raise Left

    told, count = [], CLASSES * EACH
    with pytest.raises(Left):
        dataset().make(leave)
    assert told == [(8, count), (16, count), (20, count), (28, count), (36, count)]
    del seen[:]
    whole = dataset()
    whole.make()
    assert sum(seen) == count - 20  # the first part was there
    del seen[:]
    again = dataset()
    assert all(np.array_equal(again.load(index), whole.load(index)) for index in range(count)) and not seen


def test_nobody_notices_that_they_were_made(dataset):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    dataset().make()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"of": "glyph-features"}, "dataset.of: its items are vectors"),
        ({"of": "glyps"}, "dataset.of: .*glyphs"),
        ({"trunk": "mlp"}, "dataset.trunk: mlbench/mlp takes vectors"),
        ({"trunk": {"id": "conv-small", "wide": 2}}, "dataset.trunk.wide: unknown; did you mean width"),
        ({"transforms": {"flip": 0.5}}, "dataset.transforms: .*flip cannot be random; remove it"),
        ({"transforms": {"sise": 32}}, "dataset.transforms.sise: unknown; did you mean size"),
        ({"transforms": {"size": 3}}, "dataset.transforms.size: .*8, got 3"),
    ],
)
def test_what_does_not_fit_is_named(dataset, change, said):
    with pytest.raises(ConfigError, match=said):
        dataset(**change)


def test_a_trunk_that_fails_on_the_images_is_named(dataset, monkeypatch):
    def fail(self, images):
        raise RuntimeError("kernel larger than the image")

    monkeypatch.setattr(ConvSmall, "forward", fail)
    with pytest.raises(ConfigError, match=r"dataset.trunk: it fails on images \[3, 34, 34\]: kernel larger"):
        dataset().make()


def test_images_that_cannot_be_decoded_are_named(dataset, tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "b/2.png").write_bytes(b"nothing")
    damaged = dataset(of={"id": "folder", "path": str(tmp_path / "images")})
    with pytest.raises(DataError, match=r"dataset.of: 1 of 4 images cannot be decoded:\n.*b/2.png"):
        damaged.make()


@pytest.mark.parametrize("workers", [0, 1])
def test_heads_are_trained_on_them(dataset, tiny, folder, tmp_path, seen, workers):
    tables = tiny({"name": "Triplet", "loss": "triplet-margin"}, "Untrained", runtime={"workers": workers})
    del tables["transforms"]
    of = {"id": "features", "of": {"id": "folder", "path": str(folder)}, "trunk": TRUNK, "transforms": TRANSFORMS}
    tables |= {"dataset": of, "model": {"trunk": "mlp", "embedding_size": 8}}
    tables["training"] = tables["training"] | {"batch_size": 4}
    result = mlbench.run(tables, store=tmp_path / "store")
    assert not result.summary.failed and result.summary.done
    assert sum(seen) == CLASSES * EACH  # once, in this process, whoever trains
    page = (result.store / "leaderboard.md").read_text(encoding="utf-8")
    assert "mlbench/features: 48 vectors, 12 classes" in page
    assert "- **Made of**: mlbench/folder, 34 × 34, through mlbench/conv-small (width=2)" in page
