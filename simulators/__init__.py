"""Flask payers around `reference`: HTTP in, HTTP out, and nothing decided here.

Defects and faults that a simulated payer can be told to have live in `defects/` and `faults.py`.
Nothing of the judge (`steps`, `features`, `reports`) is imported.
"""
