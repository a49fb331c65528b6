"""A smaller form of `fuzz_files.py`, in a process of its own because its memory is measured."""

import json
import subprocess
import sys
from pathlib import Path


def test_mutated_files_give_a_sentence_or_a_picture():
    script = Path(__file__).with_name("fuzz_files.py")
    done = subprocess.run([sys.executable, script, "600"], capture_output=True, check=True, timeout=110)
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["refused"] > 100
    assert found["read"] > 20
    assert found.get("peak_mib", 0) < 1024
