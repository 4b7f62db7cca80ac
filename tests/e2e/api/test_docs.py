"""The page at `/docs` resources nothing from elsewhere; HEAD requests and truncated forms."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from tests.support.inputs.chips import optical_png


class PageResources(HTMLParser):
    """The addresses that a page resources, and the number of its inline scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        by_name = dict(attributes)
        address = by_name.get("src") if tag == "script" else by_name.get("href")
        if address:
            self.addresses.append(address)
        elif tag == "script":
            self.inline += 1


def test_the_docs_load_nothing_from_elsewhere(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.status_code == 200
    resources = PageResources()
    resources.feed(page.text)
    assert resources.inline == 0
    assert len(resources.addresses) == 4
    for address in resources.addresses:
        assert ":" not in address
        assert not address.startswith("/")
        resource = api.get(page.url.join(address).path)
        assert resource.status_code == 200, address
        assert resource.content
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


def test_the_docs_script_shows_this_services_document(api: httpx.Client) -> None:
    start = api.get("/docs/start.js").text
    (url,) = re.findall(r'url: "([^"]+)"', start)
    assert api.get(f"/{url}").json()["info"]["title"] == "Crossfix"
    script = api.get("/docs/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "SwaggerUIBundle" in script.text[:400]
    assert api.get("/redoc").status_code == 404


@pytest.mark.parametrize("path", ["/gallery", "/bundle", "/livez", "/metrics", "/docs", "/nowhere"])
def test_head_returns_the_headers_of_get(api: httpx.Client, path: str) -> None:
    head, get = api.head(path), api.get(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == str(get.num_bytes_downloaded)  # before decoding


def test_head_is_counted_as_head(api: httpx.Client) -> None:
    api.head("/bundle")
    assert 'method="HEAD",route="/bundle",status="200"' in api.get("/metrics").text


def test_head_is_refused_on_routes_without_get(api: httpx.Client) -> None:
    refused = api.head("/match")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "POST"
    assert api.put("/gallery").headers["allow"] == "GET, HEAD, POST"


def test_a_truncated_form_is_refused(api: httpx.Client) -> None:
    request = api.build_request(
        "POST", "/match", files={"chip": optical_png(1)}, data={"store": "false", "top_k": "1"}
    )
    whole = request.read()
    headers = {"Content-Type": request.headers["Content-Type"]}
    assert api.post("/match", content=whole, headers=headers).status_code == 200
    for length in (len(whole) - 4, len(whole) // 2, 30):
        cut = api.post("/match", content=whole[:length], headers=headers)
        assert cut.status_code == 422
        assert "breaks off" in cut.json()["detail"]
