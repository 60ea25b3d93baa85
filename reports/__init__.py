"""Results joined with requirements, and the forms they are told in.

A report form is one `render(results)`: results in, text out. Nothing here asks a target anything,
and a payer process never imports it.
"""
