"""Work of many machines: leases in the store, the executor that sends steps to Celery's workers.

`exchange` hands over, by a store of work folders, what goes beside the stages.
"""
