"""Checks: one function says one thing about evidence, and raises CheckFailed when it is not so."""
