import pytest
from payer_exchange.reference.validation.validator import Validator


@pytest.fixture(scope="session")
def validator():
    return Validator()
