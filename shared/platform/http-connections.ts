import { createServer, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { problemDocument } from "../statement/problems.ts";
import type { ServerTls } from "./credentials.ts";

export interface ServeLimits {
  /** All headers must have come by then. */
  headersTimeoutMs?: number;
  /** The whole request must have come by then. */
  requestTimeoutMs?: number;
  /** More connections than this are closed as they come. */
  maxConnections?: number;
  /** Of which one address may hold so many: idle ones from one place must not shut out the others. */
  maxConnectionsPerAddress?: number;
  keepAliveTimeoutMs?: number;
  /** A connection on which nothing moves for so long is cut: a client that does not read its answer. */
  idleTimeoutMs?: number;
}

export const LIMITS: Required<ServeLimits> = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 512,
  keepAliveTimeoutMs: 15_000,
  idleTimeoutMs: 120_000,
};
const MAX_HEADER_BYTES = 16 * 1024;
/** Node looks for slow clients only every 30 seconds unless told otherwise. */
const CHECK_SLOW_MS = 500;

/**
 * A server with these limits; with `tls` it speaks TLS 1.3 only, and a handshake has as long as a request's headers.
 * `cutHandshakes` ends the connections that have not finished theirs: the server itself, when it closes, would wait for them.
 */
export function createHttpServer(
  limits: Required<ServeLimits>,
  tls: ServerTls | undefined,
): { server: Server | TlsServer; cutHandshakes(): void } {
  const headersTimeout = Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs);
  const options = {
    connectionsCheckingInterval: CHECK_SLOW_MS,
    headersTimeout,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  if (tls === undefined) return { server: createServer(options), cutHandshakes: () => undefined };
  const server = createTlsServer({ ...options, ...tls, minVersion: "TLSv1.3", handshakeTimeout: headersTimeout });
  // Without a handshake nothing can be answered, and what is written waits for one for ever: it is for no `clientError`.
  server.removeAllListeners("tlsClientError").on("tlsClientError", (_, socket) => socket.destroy());
  return { server, cutHandshakes: followHandshakes(server) };
}

function followHandshakes(server: TlsServer): () => void {
  const shaking = new Map<string, Socket>();
  const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  server.on("connection", (socket: Socket) => {
    const name = nameOf(socket);
    shaking.set(name, socket);
    socket.once("close", () => shaking.delete(name));
  });
  server.on("secureConnection", (socket) => shaking.delete(nameOf(socket)));
  return () => {
    for (const socket of shaking.values()) socket.destroy();
  };
}

/** Ends a connection beyond its address's share as it comes. Behind one address there may be a whole office, hence the size of the share. */
export function shareConnections(server: Server | TlsServer, perAddress: number): void {
  const held = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? "unknown";
    const now = (held.get(address) ?? 0) + 1;
    if (now > perAddress) {
      socket.destroy();
      return;
    }
    held.set(address, now);
    socket.once("close", () => {
      const left = (held.get(address) ?? 1) - 1;
      if (left > 0) held.set(address, left);
      else held.delete(address);
    });
  });
}

/** What never became a request: too slow, too large a header, not HTTP. Answered if nothing was yet, then cut. */
export function cutOff(error: NodeJS.ErrnoException, socket: Duplex, outgoing: ServerResponse | undefined): void {
  const untouched = outgoing === undefined || outgoing.writableFinished || !outgoing.headersSent;
  if (!socket.writable || error.code === "ECONNRESET" || !untouched) {
    socket.destroy();
    return;
  }
  const slow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const document = problemDocument(slow ? "request.too-slow" : "request.malformed");
  const body = JSON.stringify(document);
  const head = [
    `HTTP/1.1 ${document.status} ${slow ? "Request Timeout" : "Bad Request"}`,
    "Connection: close",
    "Content-Type: application/problem+json",
    "Cache-Control: no-store",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
