"""The judge: step definitions, checks and the pytest plugin.

It drives a target with the requesting side's client code and never imports what the responding
payer decides with; expected values come from the guides or from the members' truth table.
"""
