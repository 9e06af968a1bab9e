"""What a server may not do to us, and how much of it is read."""

import sys

import pytest

from tests.data.served import BODY, RIGHT, left
from tinyres.data import cifar, fetch
from tinyres.data.fetch import DownloadError, Source


class Answer:
    """What `requests.get` gives: here without a network, and for ever the same piece."""

    def __init__(self, url, headers):
        self.url, self.headers, self.raw = url, headers, self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def raise_for_status(self):
        pass

    def read(self, size):
        return bytes(size)


@pytest.mark.parametrize(
    ("url", "headers", "why"),
    [
        ("https://data.invalid/file.gz", {}, "more than 1000000 bytes"),
        ("https://data.invalid/file.gz", {"Content-Length": "1000001"}, "more than 1000000 bytes"),
        ("https://data.invalid/file.gz", {"Content-Length": "-7, many"}, "more than 1000000 bytes"),
        ("http://data.invalid/file.gz", {}, "redirects to an address without https"),
    ],
)
def test_what_a_server_may_not_do(tmp_path, monkeypatch, url, headers, why):
    monkeypatch.setattr(fetch, "LARGEST", 1_000_000)
    monkeypatch.setattr("requests.get", lambda *args, **options: Answer(url, headers))
    with pytest.raises(DownloadError, match=rf"https://data\.invalid/file\.gz \({why}\)"):
        Source("set", ("https://data.invalid/",), {"file.gz": RIGHT}).fetch("file.gz", tmp_path)
    assert left(tmp_path) == []


def test_nothing_is_inflated_on_the_way(server, source, tmp_path, monkeypatch):
    import requests

    asked = []
    get = requests.get
    monkeypatch.setattr(
        "requests.get", lambda url, **options: (asked.append(options["headers"]), get(url, **options))[1]
    )
    server.answers["/one/file.gz"] = [BODY]
    source.fetch("file.gz", tmp_path)
    assert asked == [{"Accept-Encoding": "identity"}]


def test_every_mirror_is_asked_by_https():
    mnist = sys.modules["tinyres.data.mnist"]  # as an attribute, tinyres.data.mnist is the function
    for source in (mnist.MNIST, mnist.FASHION_MNIST, cifar.CIFAR10):
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in source.mirrors)
