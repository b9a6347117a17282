"""What the health API tells of the machine and of this process; Linux, read from /proc, no state kept.

The names that clients read are those of a Java server: `jvmMemory…` is this process's memory here, its most being the
machine's.
"""

import gc
import os
import platform
import resource
import shutil
import time
from pathlib import Path

from backend.compat.health_view import SystemFacts

_MB = 1 << 20


def system_facts(version: str, data_dir: Path, started_monotonic_s: float) -> SystemFacts:
    """The facts now. `data_dir` lies on the disk whose room counts, `started_monotonic_s` is the server's start."""
    disk = shutil.disk_usage(data_dir)
    uptime_s = max(0.001, time.monotonic() - started_monotonic_s)
    processors = os.cpu_count() or 1
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return SystemFacts(
        version=version,
        operating_system=f"{platform.system()} {platform.release()}",
        processors=processors,
        disk_free_mb=disk.free // _MB,
        disk_total_mb=disk.total // _MB,
        memory_max_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MB,
        memory_total_mb=usage.ru_maxrss // 1024,  # Linux counts in kB
        memory_used_mb=_resident_bytes() // _MB,
        uptime_hours=round(uptime_s / 3600, 2),
        process_cpu_percent=_percent((usage.ru_utime + usage.ru_stime) / uptime_s / processors),
        system_cpu_percent=_percent(os.getloadavg()[0] / processors),
        gc_executions=sum(generation["collections"] for generation in gc.get_stats()),
    )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _percent(share: float) -> float:
    return round(min(100.0, 100 * share), 2)
