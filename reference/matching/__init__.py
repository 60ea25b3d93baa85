"""Who is meant: the strategies that answer a member match, and the registry they ask.

One decision function serves the single and the bulk operation. A strategy proposes; the decision
function enforces one-or-none, the time limit and that an exception never becomes a match.
"""
