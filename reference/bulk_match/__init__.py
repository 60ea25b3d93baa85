"""`$bulk-member-match` at the responding payer: many members in, three Groups out.

Who is meant and whether the consent holds is decided by the same two functions as for one member;
this room reads the bundles, sorts the answers into Groups and keeps the matched ones.
"""
