"""Which drawing of which vendor shows which emoji: joined by code point, then by name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Emojibase's groups that are left out: components (swatches of skin and hair) and flags. Regional indicators, the
#: halves of flags, have no group.
_LEFT_OUT = (None, 2, 9)
#: A class that fewer vendors draw is left out.
MIN_VENDORS = 3


@dataclass(frozen=True)
class Vendor:
    """One vendor's package.

    Attributes:
        icons: Name of a drawing -> the drawing.
        aliases: Further name -> the drawing it stands for, ``{"parent": ..., "hFlip": ...}``.
        codes: Code points -> name; empty where the package does not say.
    """

    icons: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, Mapping[str, Any]]
    codes: Mapping[str, str]

    def drawing(self, name: str) -> tuple[str, bool]:
        """The drawing that a name stands for, and whether it is to be mirrored."""
        alias = self.aliases.get(name)
        return (alias["parent"], bool(alias.get("hFlip"))) if alias else (name, False)

    def names_of(self, drawing: str) -> set[str]:
        """All names of a drawing."""
        return {drawing, *(name for name, alias in self.aliases.items() if alias["parent"] == drawing)}


def join(emoji: Iterable[Mapping[str, Any]], vendors: Mapping[str, Vendor]) -> dict[str, dict[str, str]]:
    """Code points of every kept emoji -> vendor -> name of its drawing.

    Vendors that list code points are joined by them, ignoring the variation selector FE0F. The others are joined by
    name, ignoring case, spaces and punctuation: by the CLDR name, then by the names that the first vendors give the
    emoji, then by the aliases of those. A drawing that several emoji claim so ("cricket" is an insect, and the old
    name of a bat and ball) goes to the best claim alone. Skin tones, flags and components are left out, then every
    emoji with fewer than `MIN_VENDORS` vendors.

    Args:
        emoji: Emojibase's list: ``hexcode``, ``label`` and ``group`` of each. Its skin tones are nested, not listed.
        vendors: Vendor -> package, in the order in which they enter the result.
    """
    labels = {normal_code(one["hexcode"]): one["label"] for one in emoji if one.get("group") not in _LEFT_OUT}
    coded = {name: vendor for name, vendor in vendors.items() if vendor.codes}
    by_code = {name: _by_code(vendor, labels) for name, vendor in coded.items()}
    known = _known_names(labels, coded, by_code)
    found = {name: by_code[name] if name in coded else _by_name(vendor, known) for name, vendor in vendors.items()}
    joined = {code: {name: found[name][code] for name in vendors if code in found[name]} for code in labels}
    return {code: drawn for code, drawn in joined.items() if len(drawn) >= MIN_VENDORS}


def normal_code(code: str) -> str:
    """``"0023-FE0F-20E3"`` -> ``"23-20e3"``: the form in which code points are compared."""
    points = (f"{int(point, 16):x}" for point in code.split("-"))
    return "-".join(point for point in points if point != "fe0f")


def _by_code(vendor: Vendor, labels: Mapping[str, str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for code, name in vendor.codes.items():
        if (normal := normal_code(code)) in labels:
            names.setdefault(normal, name)
    return names


def _known_names(
    labels: Mapping[str, str], coded: Mapping[str, Vendor], by_code: Mapping[str, Mapping[str, str]]
) -> dict[str, list[tuple[int, str]]]:
    """Comparable name -> the emoji it may mean, each with its rank: 0 by CLDR, 1 by a vendor's name, 2 by an alias."""
    known: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for code, label in labels.items():
        names = {name: by_code[name][code] for name in coded if code in by_code[name]}
        aliases = (coded[vendor].names_of(coded[vendor].drawing(name)[0]) for vendor, name in names.items())
        ranked = ([label], names.values(), (alias for group in aliases for alias in group))
        for rank, group in enumerate(ranked):
            for name in {_comparable(name) for name in group}:
                known[name].append((rank, code))
    return known


def _by_name(vendor: Vendor, known: Mapping[str, list[tuple[int, str]]]) -> dict[str, str]:
    claims = sorted(_claims(vendor, known))
    names: dict[str, str] = {}
    given: set[str] = set()
    for *_, code, name in claims:
        drawing, _mirrored = vendor.drawing(name)
        if code not in names and drawing not in given:
            names[code] = name
            given.add(drawing)
    return names


def _claims(
    vendor: Vendor, known: Mapping[str, list[tuple[int, str]]]
) -> Iterator[tuple[int, bool, int, list[int], str, str]]:
    """Every (emoji, name) that may belong together, the best first when sorted.

    A drawing's own name counts for more than an alias. Streamline numbers its variants: of "baby-1" and "baby-2" the
    first counts. ("keycap-1" is no variant: that name is known.)
    """
    for name in (*vendor.icons, *vendor.aliases):
        key, variant = _comparable(name), 0
        if key not in known and (numbered := re.fullmatch(r"(.+)-(\d)", name)):
            key, variant = _comparable(numbered[1]), int(numbered[2])
        for rank, code in known.get(key, ()):
            points = [int(point, 16) for point in code.split("-")]
            yield rank, name in vendor.aliases, variant, points, code, name


def _comparable(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain)
