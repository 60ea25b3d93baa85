"""Who may talk to whom: clients at the responding payer, servers at the requesting payer.

A registration file, the admin API and the command line all end here and give the same rows.
"""
