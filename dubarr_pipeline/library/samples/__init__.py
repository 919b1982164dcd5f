"""Samples of films: the choice of the minute, its cut, and a person's corrections for it.

`minute` finds where most people speak, `cut` writes that stretch as a small film of its own, and
`carry_over` gives it what a person has corrected in the whole film.
"""
