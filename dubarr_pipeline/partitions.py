"""Videos as Dagster sees them: one dynamic partition each."""

import dagster as dg

videos = dg.DynamicPartitionsDefinition(name="videos")


def add_video(instance: dg.DagsterInstance, key: str) -> None:
    """Make a video a partition; harmless if it is one."""
    if not instance.has_dynamic_partition("videos", key):
        instance.add_dynamic_partitions("videos", [key])


def remove_video(instance: dg.DagsterInstance, key: str) -> None:
    """Take a video off the partitions; what the store recorded of it stays in its log."""
    if instance.has_dynamic_partition("videos", key):
        instance.delete_dynamic_partition("videos", key)
