"""The command line: wires the rooms together and owns nothing."""
