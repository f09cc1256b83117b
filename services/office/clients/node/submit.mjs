// Signs one tally, submits it and verifies the receipt. Node 20 or newer; npm install jose@6
// Usage: node submit.mjs KEY DEFINITION URL TALLY      (README.md, one folder up, says what they are)
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import { CompactSign, compactVerify, importJWK } from "jose";

const PATIENCE_MS = 120_000;
const ANSWER_MS = 15_000;
const EXIT = { refused: 1, usage: 2, silent: 3 };

function end(exit, message) {
  console.error(message);
  process.exit(exit);
}

const sha256 = (bytes) => createHash("sha256").update(bytes);

/** The bytes to send: those in `file` if it was signed before, otherwise newly signed and on the disk before they leave. */
async function signedOnce(file, tally, key, definitionHash) {
  if (!existsSync(file)) {
    const nonce = randomBytes(16).toString("base64url");
    const statement = { type: "tally", definition: definitionHash, ...tally, nonce, issued: new Date().toISOString() };
    const jws = await new CompactSign(Buffer.from(JSON.stringify(statement)))
      .setProtectedHeader({ alg: "EdDSA", kid: key.kid, typ: "scrutin+jws" })
      .sign(await importJWK(key, "EdDSA"));
    const draft = `${file}.${randomUUID()}`;
    const handle = openSync(draft, "wx", 0o600);
    writeFileSync(handle, jws);
    fsyncSync(handle);
    closeSync(handle);
    try {
      linkSync(draft, file); // all of it or nothing; where another run was first, its bytes are the ones to send
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    } finally {
      rmSync(draft);
    }
  }
  return readFileSync(file);
}

/** A TLS 1.3 connection to whoever holds a pinned key; nothing is sent to anybody else. */
async function connectPinned(url, pins) {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // The pin decides, and no authority of the web.
  const options = { host, port: url.port || 443, minVersion: "TLSv1.3", rejectUnauthorized: false };
  const socket = connect(isIP(host) ? options : { ...options, servername: host });
  await once(socket, "secureConnect", { signal: AbortSignal.timeout(ANSWER_MS) }).catch((error) => {
    socket.destroy();
    throw error;
  });
  const spki = socket.getPeerX509Certificate().publicKey.export({ type: "spki", format: "der" });
  const pin = sha256(spki).digest("base64url");
  if (pins.includes(pin)) return socket;
  socket.destroy();
  return end(
    EXIT.refused,
    `door.wrong: ${url.host} shows the key ${pin}, which is no pin of the definition. Nothing was sent.`,
  );
}

async function post(url, pins, bytes) {
  const socket = await connectPinned(url, pins);
  try {
    const headers = { host: url.host, "content-type": "application/jose", "content-length": bytes.length };
    const signal = AbortSignal.timeout(ANSWER_MS);
    const request = http.request({
      method: "POST",
      path: url.pathname,
      headers,
      signal,
      createConnection: () => socket,
    });
    request.end(bytes);
    const [response] = await once(request, "response");
    const chunks = await response.toArray();
    const body = Buffer.concat(chunks).toString("utf8");
    return { status: response.statusCode, retryAfter: Number(response.headers["retry-after"]) || 1, body };
  } finally {
    socket.destroy();
  }
}

/** Sends the same bytes until an answer stands: a receipt, or a refusal that sending again will not change. */
async function submit(url, pins, bytes) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await post(url, pins, bytes).catch((error) => ({ status: 0, retryAfter: 1, body: error.message }));
    const { status, retryAfter, body } = answer;
    if (status === 200 || status === 201) return body;
    if (status >= 300 && status < 500 && status !== 408 && status !== 429) return refused(status, body);
    if (Date.now() > deadline)
      return end(EXIT.silent, `door.silent: no receipt (${status} ${body}). Run the same command again.`);
    await sleep(retryAfter * 1000 * (1 + Math.random() / 2)); // offices that were told the same do not come back together
  }
}

function refused(status, body) {
  try {
    const { code, detail } = JSON.parse(body);
    return end(EXIT.refused, `${code}: ${detail}`);
  } catch {
    return end(EXIT.refused, `door.refused: status ${status}`);
  }
}

/** What the ledger signed, if it did, and if it is about these bytes and understood them as they are. */
async function verified(answer, bytes, definition, definitionHash) {
  const { receipt } = JSON.parse(answer);
  const kid = JSON.parse(Buffer.from(receipt.split(".")[0], "base64url")).kid;
  const ledger = definition.keys.find((key) => key.role === "ledger" && key.id === kid);
  const jwk = { kty: "OKP", crv: "Ed25519", x: ledger.publicKey };
  const { payload, protectedHeader } = await compactVerify(receipt, await importJWK(jwk, "EdDSA"), {
    algorithms: ["EdDSA"],
  });
  const said = JSON.parse(Buffer.from(payload));
  const signed = JSON.parse(Buffer.from(bytes.toString().split(".")[1], "base64url"));
  const holds =
    protectedHeader.typ === "scrutin-receipt+jws" &&
    said.type === "receipt" &&
    said.definition === definitionHash &&
    said.entry.statement === sha256(bytes).digest("hex") &&
    isDeepStrictEqual(said.statement, signed);
  if (!holds) throw new Error("it is about something else");
  return { receipt, said };
}

const [keyFile, definitionFile, address, tallyFile] = process.argv.slice(2);
if (tallyFile === undefined) end(EXIT.usage, "Usage: node submit.mjs KEY DEFINITION URL TALLY");
const key = JSON.parse(readFileSync(keyFile, "utf8"));
const definitionBytes = readFileSync(definitionFile);
const definition = JSON.parse(definitionBytes);
const definitionHash = sha256(definitionBytes).digest("hex");
const url = new URL("/v1/statements", address);
const pins = definition.door?.pins ?? [];
if (url.protocol !== "https:" || pins.length === 0)
  end(EXIT.usage, "door.insecure: give an https:// address, and a definition that pins its key.");

const bytes = await signedOnce(`${tallyFile}.jws`, JSON.parse(readFileSync(tallyFile, "utf8")), key, definitionHash);
const answer = await submit(url, pins, bytes);
const { receipt, said } = await verified(answer, bytes, definition, definitionHash).catch((error) =>
  end(EXIT.silent, `receipt.wrong: the receipt does not hold (${error.message}). Tell the operators.`),
);
writeFileSync(`${tallyFile}.receipt`, receipt);
console.log(`${said.verdict}: entry ${said.entry.index}`);
for (const { code, unit = "" } of said.findings) console.log(`  ${code} ${unit}`.trimEnd());
if (said.verdict !== "accepted") process.exitCode = EXIT.refused;
