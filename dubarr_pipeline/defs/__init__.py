"""All of Dagster: assets, jobs, sensors, partitions and resources."""
