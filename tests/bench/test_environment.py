"""What a process cost is read from /proc, its children's part with it."""

import subprocess
import sys

import pytest

from tests.bench.environment import cpu_seconds, family, peak_bytes, spread

_BURNS = "import sys, time\nwhile time.process_time() < 0.3: pass\n"
_BURNS_AND_HOLDS = _BURNS + "held = b'1' * 80_000_000\nprint('burnt', flush=True)\nsys.stdin.read()"
_PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURNS!r}])
print("ended", flush=True)
subprocess.run([sys.executable, "-c", {_BURNS_AND_HOLDS!r}], stdin=sys.stdin)
"""


def test_the_cpu_and_the_memory_of_children_count_whether_they_live_or_have_ended() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent:
        assert parent.stdout.readline() == "ended\n"
        assert parent.stdout.readline() == "burnt\n"
        assert len(family(parent.pid)) == 2
        assert cpu_seconds(parent.pid) >= 0.55
        assert peak_bytes(parent.pid) > 80_000_000
        parent.stdin.close()
    assert cpu_seconds(parent.pid) == 0


def test_a_spread_shows_its_median_between_its_ends() -> None:
    assert spread([3.0, 1.0, 10.0]) == (3.0, 1.0, 10.0)
    assert spread([1_234.4, 1_000.0]).written() == "1,117 (1,000-1,234)"
    assert spread([0.5]).written(2) == "0.50 (0.50-0.50)"


def test_measurements_are_needed() -> None:
    with pytest.raises(ValueError):
        spread([])
