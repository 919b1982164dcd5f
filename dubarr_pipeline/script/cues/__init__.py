"""From subtitle cues to lines of a script."""
