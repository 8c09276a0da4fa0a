"""Headless Chromium, driven by its DevTools protocol: it takes a proxy's credentials no other way."""

import base64
import hashlib
import json
import ssl
import time

import websockets.sync.client

from .check import PATIENCE, fail
from .program import Program, run

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    # Chromium goes around a proxy for loopback targets, unless told not to.
    "--proxy-bypass-list=<-loopback>",
)


def pin(certificate):
    """The hash of a certificate's public key, as Chromium's flag wants it."""
    code, key, err = run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"])
    if code:
        fail(f"openssl: {err}")
    der = ssl.PEM_cert_to_DER_cert(
        key.decode().replace("PUBLIC KEY", "CERTIFICATE")
    )  # Only the armour differs.
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Browser:
    """One browser with one page."""

    def __init__(self, directory, proxy, user, password, trusted=()):
        self.profile = directory / f"profile-{time.monotonic_ns()}"
        self.credentials = (user, password)
        command = ["chromium", *FLAGS, f"--user-data-dir={self.profile}", f"--proxy-server={proxy}"]
        if trusted:
            pins = ",".join(pin(certificate) for certificate in trusted)
            command.append(f"--ignore-certificate-errors-spki-list={pins}")
        self.program = Program(self.profile.name, [*command, "about:blank"], directory)
        self.failures = []
        self.challenges = 0
        self.protocols = set()
        self.last = 0

    def __enter__(self):
        try:
            active = self.profile / "DevToolsActivePort"
            port, path = self.program.wait_for(
                "DevTools listen", lambda _: active.exists() and len(active.read_text().split()) == 2
                and active.read_text().split()
            )
            self.socket = websockets.sync.client.connect(
                f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=None, open_timeout=PATIENCE
            )
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = None
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self.call("Network.enable")
            self.call("Fetch.enable", handleAuthRequests=True, patterns=[{"urlPattern": "*"}])
            self.call("Page.enable")
        except BaseException:
            self.program.kill()
            raise
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.program.kill()

    session = None

    def send(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        return self.last

    def call(self, method, **params):
        """Sends a command and handles events until its result is there."""
        number, end = self.send(method, **params), time.monotonic() + PATIENCE
        while True:
            message = json.loads(self.socket.recv(max(0.1, end - time.monotonic())))
            if message.get("id") == number:
                if "error" in message:
                    fail(f"{method}: {message['error']}")
                return message["result"]
            self.handle(message.get("method"), message.get("params", {}))

    def handle(self, method, params):
        """An event: answers what waits for an answer."""
        if method == "Fetch.requestPaused":
            self.send("Fetch.continueRequest", requestId=params["requestId"])
        elif method == "Fetch.authRequired":
            self.challenges += params["authChallenge"]["source"] == "Proxy"
            user, password = self.credentials
            response = {"response": "ProvideCredentials", "username": user, "password": password}
            self.send("Fetch.continueWithAuth", requestId=params["requestId"], authChallengeResponse=response)
        elif method == "Network.loadingFailed":
            self.failures.append(params["errorText"])

    def load(self, url, title):
        """Opens a page and waits for its title; a page that fails says so."""
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            fail(f"{url}: {result['errorText']}")
        end, seen = time.monotonic() + PATIENCE, None
        while time.monotonic() < end:
            seen = self.call("Runtime.evaluate", expression="document.title")["result"]["value"]
            if seen == title:
                return
            time.sleep(0.02)
        fail(f"the page's title is {seen!r}, not {title!r}; failed loads: {self.failures}")
