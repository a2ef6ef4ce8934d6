"""What a long backlog takes of a projector's memory: what its buffers hold, which is the same however long it is."""

from pathlib import Path

from tests.bench.folding.contestant import FoldLog
from tests.bench.folding.contestants import new_sqlite
from tests.bench.folding.ours import OurProjector
from tests.bench.log_writing import log_settings, write_log
from tests.bench.workload import zipf_workload
from tests.support.ports import free_port

_EVENTS = 160_000
"""A quarter of them fills the fetches; more fill the page cache of SQLite."""
_MIB = 1024 * 1024


async def test_four_times_the_backlog_takes_hardly_more_memory(kafka: str, tmp_path: Path) -> None:
    settings = log_settings(kafka, f"{tmp_path.name}-memory")
    await write_log(settings, zipf_workload(tmp_path, 1, _EVENTS))
    (tmp_path / "projector").mkdir()
    projector = OurProjector("projector", free_port(), new_sqlite)
    measured = await projector.fold(FoldLog(settings, _EVENTS, ""), tmp_path / "projector")
    quarter, *_, whole = measured.peaks_by_quarter
    assert whole - quarter < 48 * _MIB
    assert whole < 270 * _MIB
