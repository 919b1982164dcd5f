"""Running dubarr for years: `health` and `figures` (metrics), by `monitor` on our servers.

`watch` bounds both. `backup` copies a store in use, `store_version` knows older and newer ones, and
`logged_program` starts those of Dagster with logs as JSON.
"""
