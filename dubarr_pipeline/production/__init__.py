"""Stage `segments`: every line drafted, spoken, judged, refined and placed.

`produce` is the whole; `pool` works all lines of all languages at once, `sync_loop` fits one, and
`journal` remembers every step, so that none is done twice.
"""
