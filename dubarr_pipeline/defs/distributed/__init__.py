"""Work of many machines: leases in the store, the executor that sends steps to Celery's workers."""
