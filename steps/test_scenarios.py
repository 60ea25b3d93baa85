"""Binds the features of a run to the steps: the one test module that is shipped."""

from __future__ import annotations

from payer_exchange.steps.selection import features_folder
from pytest_bdd import scenarios

scenarios(str(features_folder()))
