"""The review server: a film's lines seen, heard, mended, rendered and approved in a browser.

`app` is the application: its `calls` are one table, from which routes and `openapi` follow;
`access` guards them. `room` keeps what is open; `films` and `lines` read a film; `waves`, `tracks`,
`peaks` and `picture` let it be heard and seen; `mending` reads and takes edits; `actions` try a
line, render and approve; `events` tell what happens meanwhile. `answers` are the documents that are
sent; ``page`` holds the page itself.
"""
