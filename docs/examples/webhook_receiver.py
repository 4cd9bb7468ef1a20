"""A receiver of Tongpin's webhooks: checks the signature, refuses what is old or comes a second time, prints the rest.

    TONGPIN_WEBHOOK_SECRET=whsec_… python webhook_receiver.py 9000

Standard library only; for one process. A receiver with several keeps the ids it has seen in its database.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

MAX_AGE_S = 300
MAX_BODY = 1024 * 1024
MAX_SEEN = 100_000


class Verifier:
    """Knows the secret and the deliveries of the last minutes."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def refusal(self, delivery: str, timestamp: str, signature: str, body: bytes, now: float) -> tuple[int, str] | None:
        """Why not to take this delivery: an HTTP status and a reason. None = take it.

        A repetition of what was taken is answered 200, because the sender only wants to know that it has arrived.
        """
        expected = "v1=" + hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return 401, "the signature is not right"
        # Only now is the time stamp known to be the sender's.
        if not timestamp.isdigit() or abs(now - int(timestamp)) > MAX_AGE_S:
            return 400, "the time stamp is too old, or one of the clocks is wrong"
        with self._lock:
            if delivery in self._seen:
                return 200, "taken already"
            self._seen[delivery] = now
            while self._seen and (len(self._seen) > MAX_SEEN or next(iter(self._seen.values())) < now - 2 * MAX_AGE_S):
                self._seen.popitem(last=False)
        return None


class Handler(BaseHTTPRequestHandler):
    """One POST = one event."""

    verifier: Verifier
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self._answer(413, "the body is too large")
            return
        body = self.rfile.read(int(length))
        names = ("Tongpin-Delivery", "Tongpin-Timestamp", "Tongpin-Signature")
        delivery, timestamp, signature = (self.headers.get(name, "") for name in names)
        refused = self.verifier.refusal(delivery, timestamp, signature, body, time.time())
        if refused is not None:
            self._answer(*refused)
            return
        # Do here what takes no time; put the rest into a queue of your own and answer first.
        print(json.dumps(json.loads(body), ensure_ascii=False), flush=True)
        self._answer(204, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Quiet: the events are the output."""


def main() -> None:
    Handler.verifier = Verifier(os.environ["TONGPIN_WEBHOOK_SECRET"])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
