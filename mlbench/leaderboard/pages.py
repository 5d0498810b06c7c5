"""``python -m mlbench.leaderboard.pages FOLDER`` writes a page for each of the literature's tables into ``FOLDER``."""

import sys
from pathlib import Path

from mlbench.leaderboard.published import shipped
from mlbench.store.atomic import write_text


def write_pages(folder: Path) -> list[Path]:
    """Write ``NAME.md`` for everything published that is kept; the files written."""
    pages = {folder / f"{name}.md": published.markdown() for name, published in shipped().items()}
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


if __name__ == "__main__":
    for written in write_pages(Path(sys.argv[1])):
        print(written)
