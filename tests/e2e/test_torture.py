"""`make torture`, shortened: whatever is killed and wherever, the study ends in the same bytes and leaves nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parent / "torture" / "torture.py"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_study_that_is_killed_again_and_again_ends_in_the_same_bytes(tmp_path):
    rounds = ["in process, halving", "two workers, halving"]
    command = [sys.executable, TORTURE, "--kills", "10", "--seed", "1", "--rounds", *rounds]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 kills in" in done.stdout
