"""One authority and one server certificate for all entries, made anew by openssl for each run."""

import os

from .process import command

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:198.18.0.1,IP:198.18.0.2"


class Certificates:
    def __init__(self, directory):
        os.makedirs(directory)
        self.ca, self.certificate, self.key, self.pfx = (
            os.path.join(directory, name) for name in ("ca.pem", "server.pem", "server.key", "server.pfx"))
        authority, request = os.path.join(directory, "ca.key"), os.path.join(directory, "server.csr")
        extensions = os.path.join(directory, "extensions")
        with open(extensions, "w") as file:
            file.write(NAMES + "\nextendedKeyUsage=serverAuth\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        command("openssl", "req", "-x509", *curve, "-keyout", authority, "-out", self.ca, "-days", "30",
                "-subj", "/CN=bench authority")
        command("openssl", "req", *curve, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        command("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", authority, "-CAcreateserial",
                "-days", "30", "-extfile", extensions, "-out", self.certificate)
        command("openssl", "pkcs12", "-export", "-passout", "pass:bench", "-in", self.certificate,
                "-inkey", self.key, "-certfile", self.ca, "-out", self.pfx)
