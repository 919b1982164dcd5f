"""What a film's dub is worth: figures against targets, every failure by name, as JSON and HTML."""
