"""The packages that the emoji come from, pinned by version and hash, with the licence of each vendor's drawings."""

from typing import NamedTuple

from mlbench.api.dataset import Archive


class Vendor(NamedTuple):
    """One set of drawings."""

    version: str
    sha256: str
    licence: str


#: In the order in which the drawings of a class are kept. The drawings of Apple and Facebook are left out: their
#: licences forbid it or are unclear.
VENDORS: dict[str, Vendor] = {
    "openmoji": Vendor("1.2.29", "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5", "CC-BY-SA-4.0"),
    "twemoji": Vendor("1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7", "CC-BY-4.0"),
    "noto": Vendor("1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad", "Apache-2.0"),
    "fluent-emoji-flat": Vendor("1.2.6", "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175", "MIT"),
    "fluent-emoji-high-contrast": Vendor(
        "1.2.6", "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0", "MIT"
    ),
    "noto-v1": Vendor("1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37", "Apache-2.0"),
    "emojione": Vendor("1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e", "CC-BY-4.0"),
    "emojione-monotone": Vendor(
        "1.2.1", "40b90004bafb406b59266155ef9b7e1dd67bf2947fc8db8d07388776f4d0d04e", "CC-BY-4.0"
    ),
    "emojione-v1": Vendor("1.2.3", "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3", "CC-BY-SA-4.0"),
    "streamline-emojis": Vendor(
        "1.2.4", "5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc", "CC-BY-4.0"
    ),
    "fxemoji": Vendor("1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef", "Apache-2.0"),
}

#: Unicode's names, groups and key words of the emoji (CLDR), MIT.
ANNOTATIONS = Archive(
    name="emojibase-data-17.0.0.tgz",
    url="npm:emojibase-data@17.0.0",
    checksum="sha256:d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
)


def drawings_of(name: str) -> Archive:
    """The package of one vendor."""
    vendor = VENDORS[name]
    return Archive(
        name=f"iconify-json-{name}-{vendor.version}.tgz",
        url=f"npm:@iconify-json/{name}@{vendor.version}",
        checksum=f"sha256:{vendor.sha256}",
    )
