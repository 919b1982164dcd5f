"""The review server: a film's lines seen, heard, mended, rendered and approved in a browser.

`server` listens for `app`, the application behind the guard of `access`. Its calls are one table
(`calls`), from which routes and OpenAPI follow: `reading`, `mending`, `casting`, `exchange` of
sheets, `actions` and `events`. `room` keeps what is open; `films`, `lines` and `sheet` read a film;
`picture` and the folder `sounds` let it be seen and heard. The folder `answers` has the documents
that are sent, ``page`` the page itself.
"""
