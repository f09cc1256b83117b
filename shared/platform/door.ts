import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { Agent, type AgentOptions, type RequestOptions, request } from "node:https";
import type { Duplex } from "node:stream";
import { type ConnectionOptions, connect } from "node:tls";
import { isLoopback } from "./config.ts";
import type { ServerTls } from "./credentials.ts";

/**
 * The way to the door, as offices and the vault go it. Its key is known by the definition's pins and by nothing else: no authority
 * of the web can vouch for another one, and a certificate may be replaced as long as its key is named.
 */

/** A handshake takes milliseconds; a door that does not finish it is away. */
const HANDSHAKE_MS = 5_000;

/** Who answered shows a key that the definition does not name. Nothing was sent to it, and asking again changes nothing. */
export class WrongDoor extends Error {
  constructor(host: string, pin: string) {
    super(`${host} is not the door that the definition names: its key is ${pin}. Nothing was sent`);
  }
}

/** The pin of a public key: SHA-256 of its SubjectPublicKeyInfo (RFC 7469, 2.4), base64url. */
export function pinOf(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");
}

/** Why statements are not sent to this address; undefined if they may be. `pins` are the definition's. */
export function doorProblem(url: URL, pins: readonly string[] | undefined): string | undefined {
  if (url.protocol === "https:")
    return pins === undefined ? "the definition names no pin, and without one https:// proves nothing" : undefined;
  if (url.protocol === "http:" && isLoopback(url.hostname))
    // Whoever takes a free port of this machine could stand there.
    return pins && "the definition names the door's key, and http:// asks nobody for it; give https://";
  return `${url.protocol}// to another machine tells everyone on the way what is sent; give https://`;
}

/** Why nobody would take this certificate for the door's; undefined if the definition names its key, or no key at all. */
export function pinProblem({ cert }: ServerTls, pins: readonly string[] | undefined): string | undefined {
  const pin = pinOf(new X509Certificate(cert).publicKey);
  if (pins === undefined || pins.includes(pin)) return undefined;
  return `the certificate's key, ${pin}, is none of the pins that the definition names. Give the key that belongs to one of them.`;
}

/**
 * Connections whose other side has proved, by TLS 1.3, that it holds a key of `pins`: a request gets a connection only after that,
 * so that not a byte of it leaves before. Fails with WrongDoor.
 */
export class PinnedAgent extends Agent {
  private readonly pins: ReadonlySet<string>;

  constructor(pins: readonly string[], options: AgentOptions = {}) {
    super(options);
    this.pins = new Set(pins);
  }

  override createConnection(options: RequestOptions, done?: (error: Error | null, socket: Duplex) => void): undefined {
    const socket = connect({
      ...(options as ConnectionOptions),
      minVersion: "TLSv1.3",
      // The pin decides, below. A resumed session would show no certificate.
      rejectUnauthorized: false,
      session: undefined,
    });
    const fail = (error: Error) => {
      socket.destroy();
      done?.(error, socket);
    };
    socket.setTimeout(HANDSHAKE_MS, () => fail(new Error("the door did not finish the handshake in time")));
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      socket.off("error", fail).removeAllListeners("timeout").setTimeout(0);
      const certificate = socket.getPeerX509Certificate();
      const pin = certificate === undefined ? "missing" : pinOf(certificate.publicKey);
      if (this.pins.has(pin)) done?.(null, socket);
      else fail(new WrongDoor(`${options.host}:${options.port}`, pin));
    });
  }
}

/** `fetch` for the door's address: pinned for https://. Throws TypeError for an address that `doorProblem` refuses. */
export function doorFetch(address: string, pins: readonly string[] | undefined): DoorFetch {
  const url = new URL(address);
  const problem = doorProblem(url, pins);
  if (problem !== undefined) throw new TypeError(`${url.href}: ${problem}`);
  return url.protocol === "https:" ? pinnedFetch(pins ?? []) : fetch;
}

/** What the vault and the operators ask the door with: as much of `fetch` as they need. */
export type DoorFetch = (url: URL, init?: RequestInit) => Promise<Response>;

/** An answer of the door is a receipt or a problem; anything longer is none. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** `fetch` for a door at `https://`: no redirects, and nobody is asked but the holder of a pinned key. Bodies are text. */
function pinnedFetch(pins: readonly string[]): DoorFetch {
  const agent = new PinnedAgent(pins, { keepAlive: true });
  return (url, { method = "GET", headers, body, signal } = {}) =>
    new Promise((resolve, reject) => {
      const fields = Object.fromEntries(new Headers(headers));
      const sent = request(url, { agent, method, headers: fields, ...(signal ? { signal } : {}) }, (answer) => {
        const chunks: Buffer[] = [];
        let length = 0;
        answer.on("error", reject);
        answer.on("data", (chunk: Buffer) => {
          length += chunk.length;
          if (length > MAX_ANSWER_BYTES) answer.destroy(new Error("the door's answer is too long"));
          else chunks.push(chunk);
        });
        answer.on("end", () => {
          const { statusCode: status = 500 } = answer;
          resolve(
            new Response(length === 0 ? null : Buffer.concat(chunks), { status, headers: fieldsOf(answer.headers) }),
          );
        });
      });
      sent.on("error", reject);
      sent.end(typeof body === "string" ? body : undefined);
    });
}

function fieldsOf(headers: NodeJS.Dict<string | string[]>): Headers {
  const fields = new Headers();
  for (const [name, value] of Object.entries(headers)) for (const one of [value ?? []].flat()) fields.append(name, one);
  return fields;
}
