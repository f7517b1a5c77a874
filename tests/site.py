"""A small real web site with videos, pages, a feed, redirects and failures, on a free port of this machine."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<html><head><title>My first house</title></head>
<body><video controls><source src="/media/one.mp4" type="video/mp4"></video></body></html>"""
TWO = """<html><head><title>Two videos</title></head><body>
<video><source src="/media/one.mp4" type="video/mp4"></video>
<video><source src="/media/two.mp4" type="video/mp4"></video></body></html>"""
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>
<item><title>One</title><guid>1</guid><link>{root}/page.html</link>
<enclosure url="{root}/media/one.mp4" type="video/mp4" length="1"/></item>
<item><title>Two</title><guid>2</guid><link>{root}/other.html</link>
<enclosure url="{root}/media/two.mp4" type="video/mp4" length="1"/></item></channel></rss>"""


class Site:
    """What the site serves, and how often each path was asked for."""

    def __init__(self, videos: dict[str, bytes]) -> None:
        self.videos = videos
        self.requests: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        """Times that a path answers 503 before it works."""
        self.root = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) for a path."""
        self.requests[path] += 1
        if self.failures[path] > 0:
            self.failures[path] -= 1
            return 503, {}, b"later"
        if path.startswith("/media/") and path[7:] in self.videos:
            return 200, {"Content-Type": "video/mp4"}, self.videos[path[7:]]
        pages = {"/page.html": PAGE, "/two.html": TWO, "/words.html": "<html><body>no video here</body></html>"}
        if path in pages:
            return 200, {"Content-Type": "text/html"}, pages[path].encode()
        if path == "/feed.xml":
            return 200, {"Content-Type": "application/rss+xml"}, FEED.format(root=self.root).encode()
        if path == "/moved.mp4":
            return 302, {"Location": "/media/one.mp4"}, b""
        if path == "/away.mp4":
            return 302, {"Location": self.root.replace("127.0.0.1", "127.0.0.2") + "/media/one.mp4"}, b""
        return 404, {"Content-Type": "text/html"}, b"<html>nothing</html>"


@contextmanager
def serve(site: Site) -> Iterator[str]:
    """Serve the site on a free port; gives its root URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(with_body=True)

        def do_HEAD(self) -> None:
            self._send(with_body=False)

        def _send(self, with_body: bool) -> None:
            status, headers, body = site.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.root = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site.root
    finally:
        server.shutdown()
        server.server_close()
