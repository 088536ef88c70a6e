"""The completion server with the pages that tell what is loaded."""

import json
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import completion_server as served

CONFIG = {
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "torch_dtype": "bfloat16",
}


class Handler(served.Handler):
    """The completion endpoint of the other tests, with the pages that tell what is loaded."""

    def do_GET(self):
        page = self.server.ways.get("pages", {}).get(self.path.partition("?")[0])
        if page is None:
            self.send_error(404, "no such page")
            return
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(**ways):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.ways, server.bodies, server.lock = ways, [], threading.Lock()
    server.running = server.most_running = 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
