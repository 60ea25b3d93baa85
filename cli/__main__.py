"""`python -m payer_exchange.cli`: the command line without its script."""

from .main import main

main()
