"""Estimates of what a dub costs.

`facts` reads what is cheap to know of a film, `costs` turns it into minutes, bytes and lines at
risk.
"""
