import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { problemDocument } from "../statement/problems.ts";

/** Ends a connection beyond its address's share as it comes. Behind one address there may be a whole office, hence the size of the share. */
export function shareConnections(server: Server, perAddress: number): void {
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
