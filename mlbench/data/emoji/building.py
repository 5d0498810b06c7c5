"""From the packages as fetched to the files of the prepared dataset."""

import hashlib
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlbench.data.emoji.drawing import SIZE, draw, renderer
from mlbench.data.emoji.joining import Vendor, join, normal_code
from mlbench.data.emoji.sources import ANNOTATIONS, VENDORS, drawings_of

#: The drawings ``[N, 64, 64, 3]`` uint8; code points -> (name, vendors) in the order of the drawings; language -> the
#: phrases of every class.
DRAWINGS, ITEMS, PHRASES = "drawings.npy", "items.json", "phrases.json"


def build(files: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Join and draw; see `mlbench.api.dataset.Dataset.build_prepared`."""
    resvg = renderer()
    packages = {name: _read(files / drawings_of(name).name, ("icons.json", "chars.json")) for name in VENDORS}
    vendors = {
        name: Vendor(read["icons.json"]["icons"], read["icons.json"].get("aliases", {}), read.get("chars.json", {}))
        for name, read in packages.items()
    }
    annotations = _read(files / ANNOTATIONS.name, ("data.json",))
    emoji = annotations["en/data.json"]
    joined = join(emoji, vendors)
    order = sorted(joined, key=lambda code: hashlib.sha256(code.encode()).digest())
    labels = {normal_code(one["hexcode"]): one["label"] for one in emoji}
    _write_json(target / ITEMS, {code.upper(): (labels[code], list(joined[code])) for code in order})
    _write_json(target / PHRASES, {name.split("/")[0]: _phrases(list_, order) for name, list_ in annotations.items()})

    each = [(vendor, *vendors[vendor].drawing(name)) for code in order for vendor, name in joined[code].items()]
    shape = (len(each), SIZE, SIZE, 3)
    drawings = np.lib.format.open_memmap(target / DRAWINGS, mode="w+", dtype=np.uint8, shape=shape)
    for row, (vendor, drawing, mirrored) in enumerate(each):
        drawings[row] = draw(packages[vendor]["icons.json"], vendors[vendor].icons[drawing], mirrored, resvg)
        progress(row + 1, len(each))
    drawings.flush()


def _read(package: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON files of an npm package whose names end so, by their path in it."""
    with tarfile.open(package, "r:gz") as archive:
        wanted = [member for member in archive if member.isfile() and Path(member.name).name in names]
        return {member.name.removeprefix("package/"): _json(archive, member) for member in wanted}


def _json(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = archive.extractfile(member)
    assert file is not None, "a regular file"
    return json.load(file)


def _phrases(annotations: Sequence[Mapping[str, Any]], order: Sequence[str]) -> list[list[str]]:
    known = {normal_code(one["hexcode"]): [one["label"], *one.get("tags", ())] for one in annotations}
    return [known.get(code, []) for code in order]


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
