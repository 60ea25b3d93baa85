"""What a requesting payer does with what it receives, stage by stage.

Download, archive, transform, store, link, vouch, close. Each stage is recorded when it is done and
may be done again without a trace, so that an exchange stopped anywhere goes on to the same end.
"""
