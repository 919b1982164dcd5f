"""Running dubarr for years: `health` and `figures` (metrics), by `monitor` on our servers.

`watch` bounds both. `backup` copies a store in use, `store_version` knows older and newer ones, and
`store_thrift` spares them repeated work. `logged_program` starts Dagster's with logs as JSON.
"""
