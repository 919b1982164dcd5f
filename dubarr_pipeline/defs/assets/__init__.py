"""Stages: one module each, named as in the table of stages, and the checks of their products."""
