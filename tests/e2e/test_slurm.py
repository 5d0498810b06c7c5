"""A run through submitit's stand-in for SLURM has the bytes of one here; accidents on it are in `on_slurm.py`."""

from shutil import copytree

import pytest
from accidents import said, small

import mlbench
from mlbench.store import Store

pytest.importorskip("submitit", reason="pip install 'mlbench-dml[slurm]'")


def test_a_run_that_slurm_does_has_the_bytes_of_one_here(tiny, tmp_path):
    method = {"name": "Contrastive", "loss": "contrastive"}
    mlbench.run(small(tiny, method), store=tmp_path / "here")
    here, there = Store(tmp_path / "here"), Store(copytree(tmp_path / "here", tmp_path / "there"))
    left = next(record for record in there.records() if record.role == "reproduction")
    there.forget(left, "for SLURM to do")
    slurm = {"executor": "slurm", "slurm": {"cluster": "local"}, "workers": 1}
    summary = mlbench.run(small(tiny, method, **slurm), store=there.path).summary
    assert len(summary.done) == 1 and len(summary.cached) == 2 and said(there) == said(here)
    assert list((there.path / "slurm").glob("*_result.pkl")) and not list((there.path / "slurm").glob("*.jsonl"))
