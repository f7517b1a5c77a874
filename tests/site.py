"""A small real web site with videos, pages, feeds, redirects, slow and broken answers, on a free port."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


RULED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>
<item><title>PS4 tour</title><enclosure url="{root}/media/one.mp4" type="video/mp4"/></item>
<item><title>My base</title><author>Ann</author><description>long words</description>
<enclosure url="{root}/media/two.mp4" type="video/mp4"/></item></channel></rss>"""
HLS = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:1
#EXTINF:1.0,
{segment}
#EXT-X-ENDLIST
"""
ITEM = "<item><title>Video {i}</title><link>{root}/watch/{i}.html</link></item>"


class Site:
    """What the site serves, and how often each path was asked for."""

    def __init__(self, videos: dict[str, bytes]) -> None:
        self.videos = videos
        self.requests: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        """Times that a path answers 503 before it works."""
        self.cut_off: Counter[str] = Counter()
        """Times that a path breaks off half-way before it is served whole, from where the client asks."""
        self.ranges: list[str] = []
        """`Range` headers in the order in which they came."""
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
        if path == "/ruled.xml":
            return 200, {"Content-Type": "application/rss+xml"}, RULED.format(root=self.root).encode()
        if path.startswith("/many/"):
            items = "".join(ITEM.format(i=i, root=self.root) for i in range(int(path.removeprefix("/many/"))))
            return 200, {"Content-Type": "text/xml"}, f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()
        if path == "/bomb.html":
            page = gzip.compress(b"<html>" + bytes(50_000_000))
            return 200, {"Content-Type": "text/html", "Content-Encoding": "gzip"}, page
        if path == "/to-file.mp4":
            return 302, {"Location": "file:///etc/hostname"}, b""
        if path == "/inner.m3u8":
            text = HLS.format(segment=self.root.replace("127.0.0.1", "127.0.0.2") + "/media/one.mp4")
            return 200, {"Content-Type": "application/vnd.apple.mpegurl"}, text.encode()
        if path == "/busy.mp4":
            return 429, {"Retry-After": "3600"}, b""
        if path == "/list.txt":
            return 200, {"Content-Type": "text/plain"}, f"{self.root}/media/one.mp4\n/etc/passwd\n".encode()
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
            if self.path == "/trickle.mp4":
                self._trickle()
                return
            status, headers, body = site.answer(self.path)
            if site.cut_off[self.path] > 0 and with_body and self.headers.get("Range"):
                site.cut_off[self.path] -= 1
            if asked := self.headers.get("Range"):
                site.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").partition("-")[0])
                headers |= {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
                status, body = 206, body[start:]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                broken = site.cut_off[self.path] > 0
                self.wfile.write(body[: len(body) // 2] if broken else body)
                self.close_connection = self.close_connection or broken

        def _trickle(self) -> None:
            """A byte now and then, for as long as somebody listens: never silent, never done."""
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)

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
