"""The vectors of `glyph-features`: of which images, by a network that has seen none of them."""

import numpy as np
import pytest
import torch

from mlbench.data import Glyphs, glyph_features, glyph_network
from mlbench.data.glyph_features import GlyphFeatures
from mlbench.data.glyph_network import other_characters


@pytest.fixture(scope="module")
def others():
    return other_characters()


@pytest.fixture
def quick(monkeypatch, others):
    """Few steps, and everything but the images made anew whenever it is asked for."""
    for module in (glyph_network, glyph_features):
        monkeypatch.setattr(module, "cached_arrays", lambda name, key, build: build())
    monkeypatch.setattr(glyph_network, "_STEPS", 2)
    monkeypatch.setattr(glyph_network, "other_characters", lambda: others)


def test_the_network_learns_from_no_image_of_glyphs(others):
    images, labels = others
    glyphs = Glyphs()
    known = {glyphs.load(index).tobytes() for index in range(len(glyphs.items))}
    assert not known & {image.tobytes() for image in images}
    assert len(images) == len(labels) > 5000 and np.bincount(labels).min() >= 3


def test_vectors_stand_for_the_images_one_by_one(quick):
    dataset, glyphs = GlyphFeatures(max_classes=12), Glyphs(max_classes=12)
    assert dataset.items.ids == glyphs.items.ids and dataset.items.class_names == glyphs.items.class_names
    assert dataset.vector_size == 512 and dataset.load(7).shape == (512,) and dataset.load(7).dtype == np.float32
    # Neither how many images there are nor their neighbours show in an image's features.
    assert np.allclose(GlyphFeatures(max_classes=3).load(7), dataset.load(7), rtol=1e-4, atol=1e-5)
    assert len(np.unique([dataset.load(index) for index in range(20)], axis=0)) == 20


def test_they_are_made_the_same_whatever_the_caller_did_and_leave_no_trace(quick):
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = GlyphFeatures(max_classes=3).content_hash
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    torch.manual_seed(2)
    assert GlyphFeatures(max_classes=3).content_hash == first
    assert GlyphFeatures(max_classes=4).content_hash != first
