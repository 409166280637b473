"""What the C library is told about freed memory, seen from the memory that the system counts."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Threads live side by side and use 16 MiB each, one after the other; what they keep stands behind what they free.
SCRIPT = """
import re
from pathlib import Path
from threading import Event, Thread
from throughtime.freed_memory import give_back_freed_memory

if {gives_back}:
    give_back_freed_memory()
kept, end = [], Event()

def answer(done):
    blocks = [bytes([number % 256]) * 60_000 for number in range(280)]
    kept.append(bytes([1]) * 2_000)
    del blocks
    done.set()
    end.wait()

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

before = resident()
threads = []
for _ in range(6):
    done = Event()
    threads.append(Thread(target=answer, args=[done]))
    threads[-1].start()
    done.wait()
print(resident() - before)
end.set()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be told")
def test_threads_that_answer_use_each_others_memory() -> None:
    found = {}
    for gives_back in (False, True):
        command = [sys.executable, "-c", SCRIPT.format(gives_back=gives_back)]
        found[gives_back] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if found[False] < 60:
        pytest.skip("the C library has one heap for all threads already")
    assert found[True] < 40
