"""From recognised words to lines of a script."""
