"""The judge of a requesting payer: it plays the responding one and looks at what is asked of it.

Nothing here is shared with the simulated responding payer: what is answered comes from a script,
and what was asked is judged by the rules of the guides.
"""
