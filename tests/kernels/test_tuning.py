"""The tuning table, its fallbacks and the file of measured entries."""

import math

import pytest
from mlbench_kernels.autotune import autotune, candidates
from mlbench_kernels.precision import PRECISIONS
from mlbench_kernels.tuning import (
    TABLE,
    VARIABLE,
    Tiling,
    find_tiling,
    fit,
    read_entries,
)

LIMITS = {80: 163 << 10, 86: 99 << 10, 89: 99 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}
WIDE = Tiling(128, 256, 64, 8, 4)


@pytest.mark.parametrize("capability", LIMITS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_shipped_tiling_fits_as_it_is_also_on_the_small_chips_of_its_family(capability, precision):
    known = max(arch for arch in TABLE if arch <= capability)
    buckets = ((1, 0), (1024, 0), (1, 3), (1024, 3))
    found = [find_tiling(capability, precision, dimension, LIMITS[capability], width) for dimension, width in buckets]
    assert found == [*TABLE[known][precision], TABLE[known][precision][2]]


@pytest.mark.parametrize(("unknown", "older"), [(87, 80), (103, 100), (121, 120), (999, 120)])
def test_an_unknown_capability_gets_the_nearest_older_one(unknown, older):
    assert find_tiling(unknown, "tf32", 128, 99 << 10) == find_tiling(older, "tf32", 128, 99 << 10)


def test_a_capability_older_than_the_table_is_refused():
    with pytest.raises(RuntimeError, match=r"compute capability 7.5 is older than 8.0"):
        find_tiling(75, "tf32", 128, 64 << 10)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision: 'fp8' is unknown; allowed are bf16, bf16x3, ieee, tf32, tf32x3"):
        find_tiling(90, "fp8", 128, 227 << 10)


@pytest.mark.parametrize("limit", [200_000, 99 << 10, 48 << 10, 16 << 10, 10_000])
def test_less_shared_memory_gives_a_smaller_tile_that_fits(limit):
    tiling = fit(WIDE, "bf16", limit)
    assert tiling.shared_memory("bf16") <= limit
    assert all(getattr(tiling, name) <= getattr(WIDE, name) for name in ("rows", "columns", "dims", "stages"))


def test_no_memory_for_the_smallest_tile_is_an_error():
    with pytest.raises(RuntimeError, match="no tile fits into 2000 bytes of shared memory"):
        fit(WIDE, "bf16", 2000)


def test_autotune_keeps_the_fastest_and_only_for_its_bucket(tmp_path, monkeypatch):
    file = tmp_path / "tuning.json"
    monkeypatch.setenv(VARIABLE, str(file))
    wanted = Tiling(64, 256, 16, 8, 4)
    measured = {}

    def measure(tiling):
        measured[tiling] = 1.0 if tiling == wanted else math.inf if tiling.stages == 2 else 2.0
        return measured[tiling]

    autotune(90, "tf32", "D<=256", 227 << 10, measure, file)
    autotune(80, "bf16", "wide", 163 << 10, lambda tiling: tiling.warps, file)
    assert set(TABLE[90]["tf32"]) <= set(measured)
    assert find_tiling(90, "tf32", 256, 227 << 10) == wanted
    assert find_tiling(90, "tf32", 256, 227 << 10, width=8) == TABLE[90]["tf32"][2]
    assert find_tiling(90, "tf32", 257, 227 << 10) == TABLE[90]["tf32"][1]
    assert find_tiling(90, "tf32x3", 256, 227 << 10) == TABLE[90]["tf32x3"][0]
    assert set(read_entries(file)) == {(90, "tf32", "D<=256"), (80, "bf16", "wide")}
    assert find_tiling(90, "tf32", 256, 20_000) == fit(wanted, "tf32", 20_000)


def test_autotune_measures_only_what_fits():
    assert all(tiling.shared_memory("tf32x3") <= 99 << 10 for tiling in candidates("tf32x3", 99 << 10))


def test_autotune_writes_nothing_when_nothing_runs(tmp_path):
    with pytest.raises(RuntimeError, match=r"none of \d+ tilings ran for bf16 on compute capability 9.0"):
        autotune(90, "bf16", "D>256", 227 << 10, lambda tiling: math.inf, tmp_path / "tuning.json")
    assert not list(tmp_path.iterdir())


ENTRY = '{"sm_90 tf32 D<=256": {"rows": 64, "columns": 64, "dims": 32, "warps": 4, "stages": 3}}'
BAD = {
    "no JSON": ("{", r"Expecting property name"),
    "bucket": (ENTRY.replace("256", "300"), r"bucket: 'D<=300' is unknown; allowed are D<=256, D>256, wide"),
    "size": (ENTRY.replace('"rows": 64', '"rows": 63'), r"rows: 63; expected a power of two"),
    "name": (ENTRY.replace("rows", "lines"), r"lines"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_with_what_is_wrong(case, tmp_path, monkeypatch):
    text, message = BAD[case]
    file = tmp_path / "tuning.json"
    file.write_text(text)
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(ValueError, match=rf"MLBENCH_KERNELS_TUNING: .*tuning.json: .*{message}"):
        find_tiling(90, "tf32", 128, 227 << 10)
