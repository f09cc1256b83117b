"""Signs one tally, submits it and verifies the receipt. Python 3.9 or newer; pip install -r requirements.txt
Usage: python submit.py KEY DEFINITION URL TALLY      (README.md, one folder up, says what they are)
"""

import base64
import hashlib
import http.client
import json
import os
import random
import secrets
import ssl
import sys
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK, PyJWS

PATIENCE_S = 120
ANSWER_S = 15
REFUSED, USAGE, SILENT = 1, 2, 3


def end(status, message):
    print(message, file=sys.stderr)
    sys.exit(status)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed_once(file, tally, key, definition_hash):
    """The bytes to send: those in `file` if it was signed before, otherwise newly signed and on the disk before they leave."""
    if not os.path.exists(file):
        issued = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        nonce = base64url(secrets.token_bytes(16))
        statement = {"type": "tally", "definition": definition_hash, **tally, "nonce": nonce, "issued": issued}
        headers = {"kid": key["kid"], "typ": "scrutin+jws"}
        payload = json.dumps(statement, separators=(",", ":")).encode("utf-8")
        jws = PyJWS().encode(payload, PyJWK(key, "EdDSA"), algorithm="EdDSA", headers=headers)
        draft = f"{file}.{secrets.token_hex(8)}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
            handle.write(jws)
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(draft, file)  # all of it or nothing
        except FileExistsError:
            pass  # another run was first: its bytes are the ones to send
        finally:
            os.remove(draft)
    with open(file, "rb") as handle:
        return handle.read()


class WrongDoor(Exception):
    pass


class PinnedConnection(http.client.HTTPSConnection):
    """TLS 1.3 to whoever holds a pinned key; nothing is sent to anybody else."""

    def __init__(self, host, port, pins):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # The pin decides, and no authority of the web.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(host, port, timeout=ANSWER_S, context=context)
        self.pins = pins

    def connect(self):
        super().connect()
        certificate = x509.load_der_x509_certificate(self.sock.getpeercert(binary_form=True))
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pin = base64url(hashlib.sha256(spki).digest())
        if pin not in self.pins:
            self.close()
            raise WrongDoor(pin)


def post(url, pins, jws):
    connection = PinnedConnection(url.hostname, url.port or 443, pins)
    try:
        connection.request("POST", "/v1/statements", jws, {"Content-Type": "application/jose"})
        response = connection.getresponse()
        after = response.getheader("Retry-After", "")
        return response.status, int(after) if after.isdigit() else 1, response.read()
    finally:
        connection.close()


def submit(url, pins, jws):
    """Sends the same bytes until an answer stands: a receipt, or a refusal that sending again will not change."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            status, retry_after, body = post(url, pins, jws)
        except WrongDoor as wrong:
            end(REFUSED, f"door.wrong: {url.netloc} shows the key {wrong}, which is no pin of the definition. Nothing was sent.")
        except (OSError, http.client.HTTPException) as error:
            status, retry_after, body = 0, 1, str(error)
        if status in (200, 201):
            return body
        if 300 <= status < 500 and status not in (408, 429):
            refused(status, body)
        if time.monotonic() > deadline:
            end(SILENT, f"door.silent: no receipt ({status} {body}). Run the same command again.")
        # Offices that were told the same do not come back together.
        time.sleep(retry_after * (1 + random.random() / 2))


def refused(status, body):
    try:
        problem = json.loads(body)
        message = f"{problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        message = f"door.refused: status {status}"
    end(REFUSED, message)


def verified(answer, jws, definition, definition_hash):
    """What the ledger signed, if it did, and if it is about these bytes and understood them as they are."""
    receipt = json.loads(answer)["receipt"]
    kid = json.loads(from_base64url(receipt.split(".")[0]))["kid"]
    [ledger] = [key for key in definition["keys"] if key["role"] == "ledger" and key["id"] == kid]
    key = PyJWK({"kty": "OKP", "crv": "Ed25519", "x": ledger["publicKey"]}, "EdDSA")
    opened = PyJWS().decode_complete(receipt, key, algorithms=["EdDSA"])
    said = json.loads(opened["payload"])
    holds = (
        opened["header"].get("typ") == "scrutin-receipt+jws"
        and said["type"] == "receipt"
        and said["definition"] == definition_hash
        and said["entry"]["statement"] == hashlib.sha256(jws).hexdigest()
        and said["statement"] == json.loads(from_base64url(jws.decode("ascii").split(".")[1]))
    )
    if not holds:
        raise ValueError("it is about something else")
    return receipt, said


def main():
    if len(sys.argv) != 5:
        end(USAGE, "Usage: python submit.py KEY DEFINITION URL TALLY")
    key_file, definition_file, address, tally_file = sys.argv[1:]
    with open(key_file, encoding="utf-8") as handle:
        key = json.load(handle)
    with open(definition_file, "rb") as handle:
        definition_bytes = handle.read()
    with open(tally_file, encoding="utf-8") as handle:
        tally = json.load(handle)
    definition = json.loads(definition_bytes)
    definition_hash = hashlib.sha256(definition_bytes).hexdigest()
    url = urlsplit(address)
    pins = definition.get("door", {}).get("pins", [])
    if url.scheme != "https" or not pins:
        end(USAGE, "door.insecure: give an https:// address, and a definition that pins its key.")

    jws = signed_once(f"{tally_file}.jws", tally, key, definition_hash)
    answer = submit(url, pins, jws)
    try:
        receipt, said = verified(answer, jws, definition, definition_hash)
    except Exception as error:  # whatever is wrong with it, it is no receipt
        end(SILENT, f"receipt.wrong: the receipt does not hold ({error}). Tell the operators.")
    with open(f"{tally_file}.receipt", "w", encoding="ascii") as handle:
        handle.write(receipt)
    print(f"{said['verdict']}: entry {said['entry']['index']}")
    for finding in said["findings"]:
        print(f"  {finding['code']} {finding.get('unit', '')}".rstrip())
    if said["verdict"] != "accepted":
        sys.exit(REFUSED)


main()
