"""The Jobs API client: how answers become errors, and patience, against a real server that misbehaves on purpose."""

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from operators.ray_api import (
    AsyncRayJobs,
    JobRequest,
    RayApiError,
    RayEndpoint,
    RayJobExists,
    RayJobs,
    RayJobUnknown,
    RayUnauthorized,
    RayUnreachable,
)


class Server(ThreadingHTTPServer):
    """Gives the answers it was told, in order, then the last one for ever; remembers what it was sent."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.tokens = list(answers), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def endpoint(self, token: str = "secret") -> RayEndpoint:
        return RayEndpoint(f"http://127.0.0.1:{self.server_address[1]}", token)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.tokens.append(self.headers.get("Authorization"))
        answers = self.server.answers
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Quiet."""


RUNNING = (200, '{"status": "RUNNING"}')


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((401, "Unauthorized"), RayUnauthorized, "RAY_AUTH_TOKEN_PATH"),
        ((404, "Job j does not exist"), RayJobUnknown, "the head restarted"),
        ((500, "ValueError: Job with submission_id j already exists."), RayJobExists, "already has a job j"),
        ((400, "Traceback\nTypeError: no entrypoint"), RayApiError, "got 400: TypeError: no entrypoint"),
        ((500, "Traceback\nRuntimeError: no agent"), RayUnreachable, "got 500: RuntimeError: no agent"),
    ],
)
def test_answers_become_errors_that_say_what_to_do(answer, error, words):
    jobs = RayJobs(Server(answer).endpoint(), patience_s=0.1)
    with pytest.raises(error, match=words):
        jobs.submit(JobRequest("j", "true"))


def test_nobody_listens_says_where_and_what_next():
    server = Server(RUNNING)
    endpoint = server.endpoint()
    server.shutdown()
    server.server_close()
    with pytest.raises(RayUnreachable, match=rf"{endpoint.address}.*ConnectError.*make up"):
        RayJobs(endpoint, patience_s=0.1).status("j")


def test_trouble_that_passes_is_waited_out_by_both_clients():
    trouble = [(503, "busy"), (500, "Traceback\nno agent"), RUNNING]
    assert RayJobs(Server(*trouble).endpoint()).status("j").is_active

    async def look() -> bool:
        async with AsyncRayJobs(Server(*trouble).endpoint()) as jobs:
            return (await jobs.status("j")).is_active

    assert asyncio.run(look())


def test_a_wrong_token_is_not_tried_again():
    server = Server((401, "no"))
    before = time.monotonic()
    with pytest.raises(RayUnauthorized, match="a token that it refuses"):
        RayJobs(server.endpoint("wrong"), patience_s=30).status("j")
    assert time.monotonic() - before < 5
    assert server.tokens == ["Bearer wrong"]


def test_the_token_is_never_shown():
    assert "secret" not in repr(RayEndpoint("http://x", "secret"))
    assert "hidden" not in repr(JobRequest("j", "true", env_vars={"AWS_SECRET_ACCESS_KEY": "hidden"}))
