"""Gherkin in the order of the exchange, and the catalogue of requirements. Text only."""
