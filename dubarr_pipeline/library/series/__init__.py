"""Series, and the memory of their casts.

`names` tells which series a film belongs to, `memory` is its file ``cast.json``, `corrections` what
people have said of it, `episodes` enters a film and says who speaks with which voice.
"""
