"""How one payer knows the other: keys, client assertions, scopes and access tokens.

`keys` and `assertions.sign` serve the requesting side; `assertions.verify` and `tokens` decide on
the responding side and are closed to the judge.
"""
