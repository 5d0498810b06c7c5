"""A small network that knows characters, but none of `glyphs`: it makes the vectors of `glyph-features`.

Trained on the characters from U+2300 on (Latin, Cyrillic and Georgian extensions, technical signs, shapes, arrows) in
the same font faces; drawings that are an image of `glyphs` too are left out. `conv-small` below a softmax over these
characters, Adam, 200 batches of 128, everything seeded, one thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mlbench.api.hashing import digest
from mlbench.data.cache import Arrays, cached_arrays
from mlbench.data.glyph_drawing import GLYPHS, draw_glyphs, font_files, pixels_of
from mlbench.data.glyphs import cache_key
from mlbench.registry import resolve

#: Raise it when a change here changes the network: it enters the cache key.
RECIPE = 1
FEATURES = 512
_OTHERS = range(GLYPHS.stop, 0x110000)
# Few faces draw these: with eight as for `glyphs`, 205 characters were left.
_MIN_FACES, _MIN_IMAGES = 4, 3
_STEPS, _BATCH, _RATE = 200, 128, 2e-3

Images = npt.NDArray[np.uint8]


def network_key() -> str:
    """Hash over everything that can change the network but the processor."""
    return digest([f"{RECIPE} {_STEPS} {torch.__version__}", cache_key(font_files())])


def features_of(images: Images) -> npt.NDArray[np.float32]:
    """Features ``[N, 512]`` of grey images ``[N, 32, 32]``."""
    weights = cached_arrays("glyph-network", network_key()[:32], _trained)
    with _seeded():
        network = _network()
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        network.eval()
        with torch.inference_mode():
            parts = [network(_normalised(images[start : start + 512])) for start in range(0, len(images), 512)]
    return torch.cat(parts).numpy()


def other_characters() -> tuple[Images, npt.NDArray[np.int64]]:
    """What the network learns from: images ``[M, 32, 32]`` and their classes ``[M]``."""
    files = font_files()
    known = {drawing for drawings in draw_glyphs(files).values() for drawing in drawings.values()}
    others = draw_glyphs(files, _OTHERS, _MIN_FACES, _MIN_IMAGES).values()
    fresh = [{face: drawing for face, drawing in drawings.items() if drawing not in known} for drawings in others]
    kept = [pixels_of(drawings) for drawings in fresh if len(drawings) >= _MIN_IMAGES]
    return np.concatenate(kept), np.repeat(np.arange(len(kept)), [len(images) for images in kept])


def _trained() -> Arrays:
    images, labels = (torch.from_numpy(array) for array in other_characters())
    with _seeded():
        network = _network()
        classifier = nn.Linear(FEATURES, int(labels.max()) + 1)
        optimizer = torch.optim.Adam([*network.parameters(), *classifier.parameters()], lr=_RATE)
        for _ in range(_STEPS):
            batch = torch.randint(len(images), (_BATCH,))
            logits = classifier(network(_normalised(images[batch].numpy())))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, labels[batch]).backward()
            optimizer.step()
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def _network() -> nn.Module:
    network: nn.Module = resolve("models", {"id": "mlbench/conv-small", "width": 16}, "glyph-features").build(
        in_channels=1
    )
    return network


def _normalised(images: Images) -> Tensor:
    return (torch.from_numpy(images)[:, None] / 255 - 0.2) / 0.35


@contextmanager
def _seeded() -> Iterator[None]:
    """A seed and a thread of its own: neither the caller's random numbers nor its threads show in the weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)
