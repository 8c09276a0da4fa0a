"""curl: bodies, big and small, both ways, with their SHA-256 compared at the other end."""

import hashlib

from ..check import same, true, until, within
from ..curl import curl
from ..registry import case
from ..setups import ALL, BASE, BASIC, REQUESTS
from .curl_http import fresh, ok


@case("download", ways=ALL)
def download(lab, way):
    answer = ok(curl(*way.curl(lab), f"{lab.targets.get('web').url}/file"))
    same("SHA-256", hashlib.sha256(answer.body).hexdigest(), lab.bench.sum)


@case("upload", ways=ALL)
def upload(lab, way):
    answer = ok(curl(*way.curl(lab), "-T", lab.bench.file, f"{lab.targets.get('web').url}/sum"))
    same("SHA-256 at the target", answer.text, lab.bench.sum)


@case("upload-chunked", ways=BASIC)
def upload_chunked(lab, way):
    """PUT and POST of a length that is not known before."""
    target = lab.targets.get("web")
    data = lab.bench.small.read_bytes()
    put = ["-T", "-"]
    post = ["-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{lab.bench.small}"]
    for method, words in (("PUT", put), ("POST", post)):
        key = fresh()
        answer = ok(curl(*way.curl(lab), *words, f"{target.url}/sum?id={key}", stdin=data))
        same(f"SHA-256 of the {method}", answer.text, lab.bench.small_sum)
        (request,) = target.requests(key)
        same("method", request["method"], method)
        headers = {name.lower(): value.lower() for name, value in request["headers"].items()}
        same("framing", headers.get("transfer-encoding"), "chunked")


@case("post", ways=BASIC)
def post(lab, way):
    target = lab.targets.get("web")
    answer = ok(curl(*way.curl(lab), "--data-binary", f"@{lab.bench.small}", f"{target.url}/sum"))
    same("SHA-256 at the target", answer.text, lab.bench.small_sum)


@case("range", ways=BASIC)
def part(lab, way):
    target = lab.targets.get("web")
    answer = ok(curl(*way.curl(lab), "-r", "1000-1999", f"{target.url}/file"), 206)
    with open(lab.bench.file, "rb") as file:
        file.seek(1000)
        true("the range's bytes", answer.body == file.read(1000))
    within("head", answer.head.lower(), f"content-range: bytes 1000-1999/{target.size}")


@case("resume", ways=BASIC)
def resume(lab, way):
    """The first half is there already."""
    target = lab.targets.get("web")
    path = lab.dir / f"resume-{way.name}"
    with open(lab.bench.file, "rb") as whole:
        path.write_bytes(whole.read(target.size // 2))
    answer = ok(curl(*way.curl(lab), "-C", "-", "-o", path, f"{target.url}/file"), 206)
    same("bytes fetched", answer.transfers[0]["size_download"], target.size - target.size // 2)
    with open(path, "rb") as file:
        same("SHA-256", hashlib.file_digest(file, "sha256").hexdigest(), lab.bench.sum)
    path.unlink()


# curl expects 100 by itself for bodies of this size.
EXPECT = ("-v", "--expect100-timeout", "60")


@case("expect-continue", ways=BASIC)
def expect_continue(lab, way):
    """The target asks for the body; curl would wait a minute for that."""
    answer = ok(curl(*way.curl(lab), *EXPECT, "-T", lab.bench.small, f"{lab.targets.get('web').url}/sum"))
    same("SHA-256 at the target", answer.text, lab.bench.small_sum)
    within("interim answer", answer.head, "100 Continue")


@case("expect-refused", ways=BASIC)
def expect_refused(lab, way):
    """The target refuses before the body, which is then not sent."""
    target, key = lab.targets.get("web"), fresh()
    answer = curl(*way.curl(lab), *EXPECT, "-T", lab.bench.small, f"{target.url}/refuse/401?id={key}")
    same(answer.reason[-200:], answer.status, 401)
    (request,) = target.requests(key)
    until("the target's connection ends", lambda: "ended" in request)
    same("bytes of body at the target", request["body"], 0)
    same("bytes of body from curl", answer.transfers[-1]["size_upload"], 0)


@case("expect-failed", ways=BASIC)
def expect_failed(lab, way):
    """417: curl asks again without `Expect`, unless the proxy ends the connection, as it may."""
    target, key = lab.targets.get("web"), fresh()
    answer = curl(*way.curl(lab), *EXPECT, "-T", lab.bench.small, f"{target.url}/refuse/417?id={key}")
    if not way.tunnel and answer.status == 417:
        same("bytes of body from curl", answer.transfers[-1]["size_upload"], 0)
        return
    same(answer.reason[-200:], (answer.status, answer.text[-6:]), (200, "taken\n"))
    first, second = target.requests(key)
    same("expectations", ["Expect" in first["headers"], "Expect" in second["headers"]], [True, False])
    same("bytes of body", [first["body"], second["body"]], [0, lab.bench.small.stat().st_size])
    same("bytes of body from curl", answer.transfers[-1]["size_upload"], lab.bench.small.stat().st_size)


@case("refused-upload", ways=REQUESTS)
def refused_upload(lab, way):
    """No such target: the user hears it although a body is on its way."""
    answer = curl(*way.curl(lab), "-H", "Expect:", "-T", lab.bench.small, "http://nobody.test/")
    same(answer.reason[-200:], answer.status, 502)


@case("forward-bodies", setup=BASE)
def forward_bodies(lab):
    url = f"http://127.0.0.1:{lab.forwards['web']}"
    answer = ok(curl(f"{url}/file"))
    same("SHA-256", hashlib.sha256(answer.body).hexdigest(), lab.bench.sum)
    answer = ok(curl("-T", lab.bench.file, f"{url}/sum"))
    same("SHA-256 at the target", answer.text, lab.bench.sum)
