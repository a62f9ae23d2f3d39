"""A shop's web service that counts: how often each call, known by its idempotency key, has fired."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Orders(ThreadingHTTPServer):
    """`fired` counts requests by (order, call id); while `held` is set for an order, its answer is kept back."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fired: Counter[str] = Counter()
        self.holding: set[str] = set()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/orders"


class Handler(BaseHTTPRequestHandler):
    server: Orders

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.fired[body["order"]] += 1
        if body["order"] in self.server.holding:
            self.server.released.wait(60)
        answer = json.dumps({"order": body["order"], "status": "sent"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True  # its client was killed: that is what the tests are about

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the console of the tests."""


@contextmanager
def orders() -> Iterator[Orders]:
    with Orders() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
