"""A process that leases a device, says which, and holds it until it is told to end."""

from __future__ import annotations

import sys

from dubarr_pipeline.models.devices import lease_device

if __name__ == "__main__":
    with lease_device(sys.argv[1], torch=False) as lease:
        sys.stdout.write(lease.device + "\n")
        sys.stdout.flush()
        sys.stdin.read()
