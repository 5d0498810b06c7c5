"""Emoji: drawings of many vendors meet in classes, and are drawn as they should look."""

import io
import json
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mlbench.api.errors import ConfigError, DataError
from mlbench.data.emoji import Emoji
from mlbench.data.emoji.joining import Vendor, join, normal_code
from mlbench.data.emoji.sources import ANNOTATIONS, VENDORS, drawings_of
from mlbench.data.prepare.preparing import prepare

EMOJI = [
    {"hexcode": "1F415", "label": "dog", "group": 3, "tags": ["animal", "pet"]},
    {"hexcode": "1F997", "label": "cricket", "group": 3},
    {"hexcode": "1F3CF", "label": "cricket game", "group": 6},
    {"hexcode": "0031-FE0F-20E3", "label": "keycap: 1", "group": 8},
    {"hexcode": "002A-FE0F-20E3", "label": "keycap: *", "group": 8},
    {"hexcode": "1F476", "label": "baby", "group": 1},
    {"hexcode": "1F3FB", "label": "light skin tone", "group": 2},
    {"hexcode": "1F1E6", "label": "regional indicator A"},
    {"hexcode": "1F3C1", "label": "chequered flag", "group": 9},
    {"hexcode": "1F984", "label": "unicorn", "group": 3},
]
CODES = {"1f415": "dog", "1f997": "cricket", "1f3cf": "cricket-game", "31-fe0f-20e3": "keycap-1", "2a-20e3": "keycap"}
CODES |= {"1f476": "baby", "1f3fb": "light-skin-tone", "1f1e6": "a", "1f3c1": "chequered-flag"}


def _vendor(names: list[str], aliases: dict[str, str] | None = None, codes: dict[str, str] | None = None) -> Vendor:
    parents = {name: {"parent": parent} for name, parent in (aliases or {}).items()}
    return Vendor({name: {"body": ""} for name in names}, parents, codes or {})


def _coded() -> dict[str, Vendor]:
    return {name: _vendor([*CODES.values()], codes=CODES) for name in ("one", "two", "three")}


def test_code_points_are_compared_without_the_variation_selector() -> None:
    assert normal_code("0031-FE0F-20E3") == normal_code("31-20e3") == "31-20e3"


def test_skin_tones_flags_and_rarely_drawn_emoji_are_left_out() -> None:
    joined = join(EMOJI, _coded())
    assert set(joined) == {"1f415", "1f997", "1f3cf", "31-20e3", "2a-20e3", "1f476"}
    assert joined["31-20e3"] == dict.fromkeys(("one", "two", "three"), "keycap-1")


def test_vendors_without_code_points_are_joined_by_name_and_alias() -> None:
    old = _vendor(["Dog", "keycap1", "baby-2", "baby-1", "keycap-asterisk"], {"hound": "Dog"})
    known = _coded() | {"three": _vendor([*CODES.values()], {"keycap-asterisk": "keycap"}, CODES)}
    joined = join(EMOJI, known | {"old": old})
    names = {code: drawn["old"] for code, drawn in joined.items() if "old" in drawn}
    assert names == {"1f415": "Dog", "31-20e3": "keycap1", "1f476": "baby-1", "2a-20e3": "keycap-asterisk"}


def test_one_drawing_shows_one_emoji() -> None:
    # In the old sets "cricket" is another name of the bat and ball; the insect had not been invented.
    old = _vendor(["cricket-game"], {"cricket": "cricket-game"})
    joined = join(EMOJI, _coded() | {"old": old})
    assert joined["1f3cf"]["old"] == "cricket-game"
    assert "old" not in joined["1f997"]


def _package(path: Path, files: dict[str, object]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


#: A red left half on a square of 10 that begins at -5, and its mirror image.
DOG = {"body": '<path fill="#f00" d="M-5-5h5V5h-5z"/>', "left": -5, "top": -5, "width": 10, "height": 10}
ICONS = {"icons": {"dog": DOG}, "aliases": {"baby": {"parent": "dog", "hFlip": True}}, "width": 10, "height": 10}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path / "data"))
    folder = tmp_path / "packages"
    folder.mkdir()
    codes = {"1f415": "dog", "1f476": "baby"}
    for name in VENDORS:
        chars: dict[str, object] = {} if name == "fxemoji" else {"chars.json": codes}
        _package(folder / drawings_of(name).name, {"icons.json": ICONS} | chars)
    german = [{"hexcode": "1F415", "label": "Hund", "tags": ["Haustier"]}]
    _package(folder / ANNOTATIONS.name, {"en/data.json": EMOJI, "de/data.json": german, "en/data.json.d.ts": 0})
    return folder


def _build(files: Path, folder: Path) -> Emoji:
    pytest.importorskip("resvg_py")
    folder.mkdir()
    told: list[tuple[int, int]] = []
    Emoji.build_prepared(files, folder, lambda *step: told.append(step))
    assert told[-1] == (21, 21)
    return Emoji(str(folder))


def test_packages_become_a_dataset(packages: Path, tmp_path: Path) -> None:
    emoji = _build(packages, tmp_path / "built")
    assert set(emoji.items.class_names) == {"1F415 dog", "1F476 baby"}
    # The set without code points has one drawing, and "baby" is only its other name.
    assert set(emoji.items.ids) == {f"1F415/{name}" for name in VENDORS} | {
        f"1F476/{name}" for name in VENDORS if name != "fxemoji"
    }
    dog, baby = (emoji.load(emoji.items.ids.index(f"{code}/noto")) for code in ("1F415", "1F476"))
    red, white = [255, 0, 0], [255, 255, 255]
    assert dog.shape == (64, 64, 3)
    assert (dog[:, :32] == red).all() and (dog[:, 32:] == white).all()
    assert np.array_equal(baby, dog[:, ::-1])
    names = dict(zip(emoji.items.class_names, emoji.phrases("de"), strict=True))
    assert names == {"1F415 dog": ("Hund", "Haustier"), "1F476 baby": ()}
    assert ("dog", "animal", "pet") in emoji.phrases()
    with pytest.raises(ConfigError, match=r"no language 'tlh'; languages: de, en"):
        emoji.phrases("tlh")


def test_the_same_packages_give_the_same_content(packages: Path, tmp_path: Path) -> None:
    first, second = (_build(packages, tmp_path / name) for name in ("first", "second"))
    assert first.content_hash == second.content_hash


def test_another_package_than_the_pinned_one_is_refused(packages: Path) -> None:
    with pytest.raises(DataError, match=re.escape(drawings_of("openmoji").name) + ".*its owner's file has 03181e2c"):
        prepare("emoji", Emoji, str(packages))


def test_a_renderer_that_is_not_installed_is_named(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(DataError, match=r"resvg-py.*mlbench-dml\[emoji\]"):
        Emoji.build_prepared(packages, tmp_path, lambda done, total: None)


def test_what_is_not_prepared_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"emoji: not prepared .*`mlbench datasets prepare emoji`"):
        _ = Emoji().items
    with pytest.raises(DataError, match=r"emoji: .*items\.json.*`mlbench datasets prepare emoji`"):
        _ = Emoji(str(tmp_path)).items
