"""What a giant list costs the planner: `python -m infra.bench_listing 1000000 [--max-items N]`.

Serves one feed, one page of players and one text list of so many entries on a free port, and plans `scrape` for each
as a run does: seconds, peak memory of the planner and of the child that reads the web, what became of the list. No
video is fetched and nothing is written but an empty store.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from stages.plan import make_plan
from stages.scrape import Scrape, ScrapeConfig
from stages.settings import load_settings
from stages.stage import Context

KINDS = {
    "feed.xml": (
        "text/xml",
        '<rss version="2.0"><channel>',
        "<item><link>/w/{i}.html</link></item>",
        "</channel></rss>",
    ),
    "page.html": ("text/html", "<html><body>", '<video src="/m/{i}.mp4"></video>', "</body></html>"),
    "list.txt": ("text/plain", "", "{root}/w/{i}.html\n", ""),
}
"""Name: content type, head, one entry, tail."""


@contextmanager
def served(entries: int) -> Iterator[str]:
    """A site on a free port that answers each name with so many entries; gives its root URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, head, entry, tail = KINDS[self.path.lstrip("/")]
            root = f"http://127.0.0.1:{server.server_port}"
            body = (head + "".join(entry.format(i=i, root=root) for i in range(entries)) + tail).encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def plan(source: str, max_items: int, limit: int) -> dict[str, object]:
    """Plan `scrape` for one source in this process; what it gave and what it cost."""
    config = ScrapeConfig(sources=(source,), max_items=max_items, allow_private_hosts=True, retries=0)
    with tempfile.TemporaryDirectory(prefix="smelter-bench-") as folder:
        started = time.monotonic()
        made = make_plan(Scrape(config), Context(load_settings(store=f"file://{folder}")), limit=limit)
    kinds = Counter(unit.inputs.get("reason", unit.inputs["kind"]) for unit in made.todo)
    of_child = resource.getrusage(resource.RUSAGE_CHILDREN)
    largest = max((len(json.dumps(unit.inputs)) for unit in made.todo), default=0)
    return {
        "todo": dict(kinds),
        "left": made.beyond_limit,
        "largest_unit_bytes": largest,
        "seconds": round(time.monotonic() - started, 1),
        "planner_cpu_s": round(time.process_time(), 1),
        "child_cpu_s": round(of_child.ru_utime + of_child.ru_stime, 1),
        "planner_mb": peak_mb(),
        "child_mb": of_child.ru_maxrss // 1024,
    }


def peak_mb() -> int:
    """Most memory of this process. Not `ru_maxrss`, which a new process takes over from the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("entries", type=int, nargs="?", default=10_000)
    parser.add_argument("--max-items", type=int, default=ScrapeConfig.max_items)
    parser.add_argument("--limit", type=int, default=0, help="units to plan, 0 for all")
    parser.add_argument("--source", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.source:
        print(json.dumps(plan(options.source, options.max_items, options.limit)))
        return 0
    command = [sys.executable, "-m", "infra.bench_listing", "--max-items", str(options.max_items)]
    command += ["--limit", str(options.limit), "--source"]
    with served(options.entries) as root:
        for name in KINDS:
            source = f"{'@' if name == 'list.txt' else ''}{root}/{name}"
            done = subprocess.run([*command, source], check=True, capture_output=True, text=True)  # one after the other
            print(f"{name}: {done.stdout.strip()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
