"""UDAP (HL7 UDAP Security 1.0 and 2.0): trust by certificates instead of by registered keys.

`chains`, `tokens` and `metadata` serve both roles, `client` the requesting one; `authority`,
`statements`, `registering` and `authenticating` decide on the responding side and are closed to
the judge.
"""
