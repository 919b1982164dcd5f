"""Sounds of a film, for browsers.

`waves` cuts them out of files, `tracks` decodes the dub on request, `peaks` draws them, and
`trials` speaks a line to be heard at once.
"""
