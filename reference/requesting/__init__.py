"""The requesting payer: asks for a member's record in one call, and makes it its own.

`payer` is the door; `request` reads what is asked, `run` does it in threads, `exchange` speaks to
the other payer, `store` and `search` keep the records, `trace` tells the phases.
"""

from .payer import RequestingPayer
from .run import Interrupted
from .settings import RequestingSettings
from .trace import PhaseEvent

__all__ = ["Interrupted", "PhaseEvent", "RequestingPayer", "RequestingSettings"]
