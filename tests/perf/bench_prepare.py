"""Preparing 12,000 JPEGs of 500x375: decoded, resized to 256 and on disk, by one process and by two.

Run by hand, on an idle machine:

    pytest tests/perf/bench_prepare.py -s

``MLBENCH_BENCH_IMAGES`` says how many instead. Nothing asserts a time; that both leave the same bytes is asserted.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

IMAGES = int(os.environ.get("MLBENCH_BENCH_IMAGES", "12000"))


def used():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def test_prepare(tmp_path, monkeypatch):
    from photos import write_photos

    from mlbench.data import Folder
    from mlbench.data.decoders import Decoders
    from mlbench.data.prepared import prepare

    size = write_photos(tmp_path / "photos", IMAGES)
    print(f"\n{IMAGES} files, {size / 1000:.0f} kB each\n")
    print("| processes | s | s of processor | images/s |\n|---|---|---|---|")
    left = {}
    for processes in (1, 2):
        monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / f"by-{processes}"))
        path = str(tmp_path / "photos")
        dataset = Folder(path)
        _ = dataset.content_hash  # reading every file once is not what is measured
        decoders, news = Decoders({"id": "folder", "path": path}, processes=processes), []
        begun, before = time.perf_counter(), used()
        layout = prepare(dataset, 256, decoders, lambda *told, news=news: news.append(told))
        seconds = time.perf_counter() - begun
        print(f"| {processes} | {seconds:.1f} | {used() - before:.1f} | {IMAGES / seconds:.0f} |", flush=True)
        assert news[-1] == (IMAGES, IMAGES, 0.0)
        left[processes] = [path for path, _ in layout.chunks]
    for one, other in zip(*left.values(), strict=True):
        assert one.read_bytes() == other.read_bytes()
