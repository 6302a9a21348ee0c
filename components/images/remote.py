"""Images from the network: bounded in time, size and number, retried, cached, and not from just anywhere.

    for found in fetch_all(urls, RemoteOptions(parallel=8)):  # in order: bytes, or Refused(reason, remedy)
        ...

A request is only made to public addresses, whatever a name or a redirect says, unless `allow_private`. What
may pass is a failure of the network or one of the answers 408, 425, 429, 500, 502, 503 and 504: these are
tried again after a wait that doubles, with jitter, or after the time that the server asks for. User and
password in a URL are sent to its host and to no other, and never shown.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin

from .addresses import target_of
from .admit import Refused
from .remote_cache import Cached, RemoteCache
from .unusable import UnusableImageError
from .web_client import Answer, Bounds, TransientError, WebClient

PASSING = (408, 425, 429, 500, 502, 503, 504)
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class RemoteOptions:
    """How images are fetched; times are in seconds.

    Attributes:
        schemes: that a URL and each redirect may have.
        allow_private: whether addresses of the own network (private, loopback, link-local) may be asked.
        connect_timeout, read_timeout: to connect, and between two pieces of an answer.
        total_timeout: for an image, with redirects, waits and further attempts.
        max_bytes: of an image. Memory holds at most 2·parallel of them.
        retries: attempts after the first.
        backoff: before the first of them; doubled before each further one, up to `longest_wait`.
        longest_wait: also of what a server may ask for by Retry-After.
        redirects: that are followed, at most.
        parallel: requests at a time.
        cache: a folder that images are kept in by URL; None for none.
        cache_bytes: that it may hold; what wasn't used for longest is removed, soon after.
        revalidate: whether the server is asked if what is kept is still right.
    """

    schemes: tuple[str, ...] = ("https", "http")
    allow_private: bool = False
    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    total_timeout: float = 120.0
    max_bytes: int = 64 << 20
    retries: int = 3
    backoff: float = 0.5
    longest_wait: float = 30.0
    redirects: int = 5
    parallel: int = 8
    cache: Path | None = None
    cache_bytes: int = 10 << 30
    revalidate: bool = False


def fetch_all(urls: Sequence[str], options: RemoteOptions) -> Iterator[bytes | Refused]:
    """Fetches images, `options.parallel` at a time, and gives them in the order of the URLs.

    Args:
        urls: any number; at most 2·parallel are under way or waiting for their turn.
        options: how.

    Yields:
        For each URL its bytes, which nobody has looked into yet, or why there are none.
    """
    stop = threading.Event()
    cache = None if options.cache is None else RemoteCache(options.cache, options.cache_bytes)
    fetcher = _Fetcher(options, cache, stop)
    waiting: deque[Future[bytes | Refused]] = deque()
    threads = ThreadPoolExecutor(options.parallel, thread_name_prefix="fetch")
    try:
        for url in urls:
            waiting.append(threads.submit(fetcher.fetch, url))
            if len(waiting) == 2 * options.parallel:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stop.set()
        threads.shutdown(wait=False, cancel_futures=True)
        fetcher.close()
        if cache is not None:
            cache.tidy()


class _Fetcher:
    """Fetches one URL at a time for each thread that calls it."""

    def __init__(self, options: RemoteOptions, cache: RemoteCache | None, stop: threading.Event) -> None:
        self._options, self._cache, self._stop = options, cache, stop
        self._own = threading.local()
        self._clients: list[WebClient] = []

    def fetch(self, url: str) -> bytes | Refused:
        """The bytes of a URL, or why there are none."""
        cached = self._cache.get(url) if self._cache else None
        if cached is not None and not self._options.revalidate:
            if len(cached.data) <= self._options.max_bytes:
                return cached.data
            cached = None
        try:
            return self._attempts(url, cached)
        except UnusableImageError as error:
            return Refused(error.reason, error.remedy)

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients:
            client.close()

    def _attempts(self, url: str, cached: Cached | None) -> bytes:
        deadline = time.monotonic() + self._options.total_timeout
        attempt = 0
        while True:
            try:
                answer = self._follow(url, cached.validators if cached else {}, deadline)
                break
            except TransientError as error:
                pause = self._pause(attempt, error.wait)
                attempt += 1
                if attempt > self._options.retries or time.monotonic() + pause >= deadline:
                    times = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise UnusableImageError(error.reason + times, "try again later") from error
                if self._stop.wait(pause):
                    raise UnusableImageError("it was no longer wanted") from error
        if answer.status == 304 and cached is not None:
            return cached.data
        if self._cache is not None:
            self._cache.put(url, answer.body, answer.validators)
        return answer.body

    def _pause(self, attempt: int, asked: float | None) -> float:
        if asked is not None:
            return min(max(asked, 0.0), self._options.longest_wait)
        jitter = random.uniform(0.5, 1.0)  # noqa: S311, spreads attempts and guards nothing
        return float(min(self._options.backoff * 2**attempt, self._options.longest_wait) * jitter)

    def _follow(self, url: str, validators: dict[str, str], deadline: float) -> Answer:
        """The answer with status 200 or 304 that a URL leads to."""
        asks = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
        headers = {asks[name]: value for name, value in validators.items() if name in asks}
        target = start = target_of(url, self._options.schemes)
        for _ in range(self._options.redirects + 1):
            answer = self._client().get(target, headers, deadline)
            if answer.status not in REDIRECTS or not answer.headers["Location"]:
                return _good(answer)
            url = urljoin(url, answer.headers["Location"].strip())
            target = target_of(url, self._options.schemes)
            place = (target.scheme, target.host, target.port)
            same = place == (start.scheme, start.host, start.port)
            target = replace(target, login=start.login if same else "")
        raise UnusableImageError(f"it is redirected more than {self._options.redirects} times")

    def _client(self) -> WebClient:
        client: WebClient | None = getattr(self._own, "client", None)
        if client is None and self._stop.is_set():  # whoever closes them all wouldn't know of one more
            raise UnusableImageError("it was no longer wanted")
        if client is None:
            o = self._options
            client = WebClient(Bounds(o.connect_timeout, o.read_timeout, o.max_bytes, o.allow_private))
            self._own.client = client
            self._clients.append(client)
        return client


def _good(answer: Answer) -> Answer:
    if answer.status in (200, 304):
        return answer
    told = f"the server answered {answer.status}"
    if answer.status in PASSING:
        raise TransientError(told, _seconds(answer.headers["Retry-After"]))
    raise UnusableImageError(told, _REMEDIES.get(answer.status, ""))


_REMEDIES = {
    401: "it asks for a user and password",
    403: "the server refuses it",
    404: "there is nothing at this address",
    410: "it is there no more",
}


def _seconds(told: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """What a Retry-After header asks for: seconds, or a point in time."""
    if told is None:
        return None
    if told.strip().isdecimal():
        return float(told.strip()[:9])
    try:
        when = parsedate_to_datetime(told)
    except ValueError:
        return None
    return (when - now()).total_seconds() if when.tzinfo else None
