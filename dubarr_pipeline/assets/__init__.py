"""The pipeline as Dagster sees it: one module per stage; an asset reads, calls, records."""
