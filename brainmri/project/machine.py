"""What the bits of a run depend on beside the commit: no name of the machine, no date."""

import os
import platform
from pathlib import Path

FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


def processor() -> str:
    """Return the processor's kind and model, how many cores this machine has, and the vector instructions it knows."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = dict(reversed([[word.strip() for word in line.split(":", 1)] for line in lines if ":" in line]))
    flags = facts.get("flags", "").split()
    model = facts.get("model name") or platform.processor()
    parts = [platform.machine(), model, f"{os.cpu_count()} cores", " ".join(name for name in FEATURES if name in flags)]
    return ", ".join(filter(None, parts))
