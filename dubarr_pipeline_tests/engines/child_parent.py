"""A process with an engine child that is killed while the child works (or idles)."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from dubarr_pipeline.engines.child import EngineChild

if __name__ == "__main__":
    child = EngineChild("tiny", "dubarr_pipeline_tests.engines.child_worker:Worker")
    loading = threading.Thread(target=child.load)
    loading.start()
    loading.join()
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    if sys.argv[1] != "idle":
        child.call("sleep", Path(sys.argv[1]))
    time.sleep(600)
