"""The review server: a film's lines seen, heard, mended, rendered and approved in a browser.

`server` listens for `app`, the application behind the guard of `access`. Its calls are one table
(`calls`), from which routes and OpenAPI follow: `reading`, `mending`, `casting`, `exchange` of
sheets, `actions` and `events`. `room` keeps what is open; `films`, `lines` and `sheet` read a film;
`waves`, `tracks`, `peaks`, `picture` and `trials` let it be heard and seen. `answers` and
`cast_answers` are the documents that are sent; ``page`` holds the page itself.
"""
