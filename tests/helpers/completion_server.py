"""An OpenAI-compatible server on loopback that streams as it is told to."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from core.measure.backends.served import Endpoint

FIRST, GAP = 0.02, 0.005  # what the server waits, s
ASKED_ALONE = 2  # requests that set the prompt's length


class Handler(BaseHTTPRequestHandler):
    """An OpenAI-compatible completion endpoint; `server.ways` says how it behaves."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        ways = self.server.ways
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append((self.path, body))
            number = len(self.server.bodies)
            self.server.running += 1
            self.server.most_running = max(self.server.most_running, self.server.running)
        self.decoding = True
        try:
            if self.path not in ways.get("paths", ("/v1/completions",)):
                self.send_error(404, "no such path")
                return
            if ways.get("status"):
                self.send_error(ways["status"], "model not loaded")
                return
            if "meeting" in ways and number > ASKED_ALONE:
                ways["meeting"].wait(120)
            self.stream(body, ways)
        finally:
            self.decoded()

    def decoded(self):
        """Before the last words go out: whoever has them may ask again at once."""
        if self.decoding:
            self.decoding = False
            with self.server.lock:
                self.server.running -= 1

    def stream(self, body, ways):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chat = self.path.endswith("chat/completions")
        words = len((body["messages"][0]["content"] if chat else body["prompt"]).split())
        count = ways.get("tokens", body["max_tokens"])
        each = ways.get("tokens_per_chunk", 1)
        self.event(": keep alive", raw=True)
        if chat:
            self.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        time.sleep(FIRST)
        if ways.get("nonsense"):
            self.event("data: <html>\n", raw=True)
        sent = 0
        while sent < count:
            if sent:
                time.sleep(GAP)
            piece = " tok" * min(each, count - sent)
            sent += each
            self.event({"choices": [{"delta": {"content": piece}} if chat else {"text": piece}]})
            if ways.get("dies_after") and sent >= ways["dies_after"]:
                self.wfile.write(b"0\r\n\r\n")
                return
        self.decoded()
        self.event({"choices": [{"text": "", "delta": {}, "finish_reason": "length"}]})
        if ways.get("usage", True):
            spent = {"prompt_tokens": words + ways.get("template", 0), "completion_tokens": count}
            self.event({"choices": [], "usage": spent})
        self.event("data: [DONE]\n", raw=True)
        self.wfile.write(b"0\r\n\r\n")

    def event(self, data, raw=False):
        text = (data if raw else f"data: {json.dumps(data)}\n") + "\n"
        block = text.encode()
        self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        self.wfile.flush()


@contextmanager
def serving(**ways):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.ways, server.bodies, server.lock = ways, [], threading.Lock()
    server.running = server.most_running = 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "tiny")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
