"""Devices, memory, child and service processes.

`devices` chooses and leases a GPU, `memory` measures, `oom_fallback` retries with less when memory
runs out, `child_process` and `child_worker` run an engine in a process of its own,
`service_process` starts and watches a server below a `subreaper`, `process_log` is its log,
`gpu_sharing` time-slices a GPU between servers, `backoff` is the one retry and restart policy.
"""
