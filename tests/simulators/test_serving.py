"""A server that was stopped leaves nothing behind."""

from __future__ import annotations

import gc
import weakref

from payer_exchange.simulators.serving import Server


class Application:
    def __call__(self, _environ, start_response):
        start_response("204 No Content", [])
        return []


def test_what_a_stopped_server_answered_with_is_let_go():
    app, server = Application(), Server()
    kept = weakref.ref(app)
    server.start(app)
    server.stop()
    del app, server
    gc.collect()
    assert kept() is None
