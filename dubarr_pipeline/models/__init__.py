"""The models' store: which there are (`manifest`), where they lie (`store`), fetched by `pull`."""
