"""The fit of a script or a translation to the detected speech of a film, piece by piece."""
