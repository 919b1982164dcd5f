"""Stage `segments`: every line drafted, spoken, judged, refined and placed.

`run` does the whole; `pool` works on all lines of all languages at once, `line` fits one, and
`journal` holds every step, so that none is done twice. The folder `wishes` has what people want
otherwise; `trial` speaks one line of a finished film.
"""
