"""The exchange itself: what a requesting and a responding payer do.

No web framework, no test framework and no template engine is imported here; one module
(`http.py`) alone imports requests. Values go in, values come out.
"""
