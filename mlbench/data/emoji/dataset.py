"""Emoji in the drawings of eleven vendors: real, mid-sized and hard, from packages that a registry delivers."""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Archive, Counts, Dataset, ItemTable
from mlbench.api.errors import ConfigError, DataError
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo
from mlbench.data.emoji.building import DRAWINGS, ITEMS, PHRASES, build
from mlbench.data.emoji.sources import ANNOTATIONS, VENDORS, drawings_of
from mlbench.data.prepare.location import dataset_folder


class Emoji(Dataset):
    """Class = emoji, sample = its drawing by one vendor, RGB 64x64 over white. The vendor is the view.

    13,518 drawings of 1,644 emoji, 3 to 11 of each; see `mlbench.data.emoji.joining.join` for the rule. Everything
    comes from pinned npm packages, whose drawings are rendered when the dataset is prepared and never shipped.

    **Order of the classes.** Ascending SHA-256 of the code points: fixed, but without any pattern, so that runs of
    neighbours, into which class-disjoint protocols cut the list, are exchangeable. In the order of code points a fold
    would train on animals and test on people.

    **Label noise.** 210 drawings (1.6%) equal a drawing of another class pixel for pixel: old sets draw "person
    walking" as "man walking", and Twemoji gives one pictogram to ten families. They stay: no method gets past them, and
    all meet the same.

    Args:
        path: A folder that ``mlbench datasets prepare emoji`` made; by default where it puts it.

    Raises:
        DataError: If it has not been prepared.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Emoji in the drawings of eleven vendors, 64x64 RGB, from npm packages",
        citation="Iconify icon sets, https://icon-sets.iconify.design; emojibase, https://emojibase.dev",
        tags=("rgb", "views", "files"),
    )
    licence: ClassVar[str] = "; ".join(f"{name} {vendor.licence}" for name, vendor in VENDORS.items())
    archives: ClassVar[tuple[Archive, ...]] = (*map(drawings_of, VENDORS), ANNOTATIONS)
    expected: ClassVar[Counts | None] = Counts(classes=1644, items=13518)

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    @cached_property
    def items(self) -> ItemTable:
        """The item table; ids are ``1F600/noto``, class names ``1F600 grinning face``."""
        rows = self._json(ITEMS)
        drawn = [vendors for _, vendors in rows.values()]
        views = tuple(vendor for vendors in drawn for vendor in vendors)
        labels = np.repeat(np.arange(len(drawn)), [len(vendors) for vendors in drawn]).astype(np.int64)
        codes = tuple(rows)
        return ItemTable(
            ids=tuple(f"{codes[label]}/{view}" for label, view in zip(labels, views, strict=True)),
            labels=labels,
            class_names=tuple(f"{code} {name}" for code, (name, _) in rows.items()),
            views=views,
        )

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """A drawing over white, ``[64, 64, 3]``."""
        return np.array(self._drawings[index])

    @cached_property
    def content_hash(self) -> str:
        """Over the pixels, labels, ids and names that are really used, whatever drew them."""
        items = self.items
        return digest(["emoji", self._drawings, items.labels, *items.ids, *items.class_names])

    def phrases(self, language: str = "en") -> tuple[tuple[str, ...], ...]:
        """What Unicode's CLDR calls every class: its name, then its key words. ``[C]`` of different lengths.

        Args:
            language: ``"en"``, ``"de"``, ``"zh-hant"``, ... A class without a name there has no phrases.

        Raises:
            ConfigError: If there is no such language.
        """
        languages = self._json(PHRASES)
        if language not in languages:
            raise ConfigError(f"emoji: no language {language!r}; languages: {', '.join(sorted(languages))}")
        return tuple(tuple(phrases) for phrases in languages[language])

    @classmethod
    def build_prepared(cls, files: Path, target: Path, progress: Callable[[int, int], None]) -> None:
        """Join and draw what the packages in ``files`` hold; see `Dataset.build_prepared`."""
        build(files, target, progress)

    def _json(self, name: str) -> Any:
        file = self._folder / name
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"emoji: {file}: {error}; `mlbench datasets prepare emoji` makes it") from None

    @cached_property
    def _folder(self) -> Path:
        return dataset_folder("emoji", self._path)

    @cached_property
    def _drawings(self) -> npt.NDArray[np.uint8]:
        drawings: npt.NDArray[np.uint8] = np.load(self._folder / DRAWINGS, mmap_mode="r", allow_pickle=False)
        return drawings
