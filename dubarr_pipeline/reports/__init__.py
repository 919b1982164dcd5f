"""Report of a dub: figures against targets, every failure by name, as JSON and HTML."""
