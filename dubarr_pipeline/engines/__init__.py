"""Every model, behind what the pipeline asks of it."""
