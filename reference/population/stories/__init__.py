"""What happens to members over the years: each story writes one thread of a record.

A story takes a chart, decides its own days, and keeps to the member's lifetime. Stories do not
call each other; `telling.py` says who lives which.
"""
