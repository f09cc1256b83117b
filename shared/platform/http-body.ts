import type { IncomingMessage } from "node:http";

/** A client that is told "too large" while it is still sending may never read it: so much more is let in and dropped. */
const LINGER_BYTES = 4 * 1024 * 1024;
const LINGER_MS = 500;

/** A whole body, or why there is none: more than was allowed, no room for it now, or the connection ended first. */
export type Collected =
  | { kind: "body"; bytes: Uint8Array }
  | { kind: "too-large" }
  | { kind: "no-room" }
  | { kind: "cut-off" };

/**
 * Collects a request's body of at most `maxBytes`, straight from Node's stream: as a web stream the same takes several times as
 * long. `grow` is asked for room for each chunk before it is kept. After `too-large` or `no-room` the stream is left where it is.
 */
export function collectBody(
  incoming: IncomingMessage,
  maxBytes: number,
  grow: (bytes: number) => boolean = () => true,
): Promise<Collected> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (result: Collected) => {
      incoming.off("data", onData).off("end", onEnd).off("close", onClose);
      resolve(result);
    };
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) settle({ kind: "too-large" });
      else if (!grow(chunk.length)) settle({ kind: "no-room" });
      else chunks.push(chunk);
    };
    const onEnd = () => settle({ kind: "body", bytes: Buffer.concat(chunks, length) });
    const onClose = () => settle({ kind: "cut-off" });
    if (incoming.readableEnded) onEnd();
    else if (incoming.destroyed) onClose();
    else incoming.on("data", onData).once("end", onEnd).once("close", onClose);
  });
}

/** Drops what a client goes on sending, until it ends or has had its share of bytes and time. */
export function linger(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let dropped = 0;
    const done = () => {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", done).off("close", done);
      incoming.pause();
      resolve();
    };
    const onData = (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > LINGER_BYTES) done();
    };
    const timer = setTimeout(done, LINGER_MS);
    if (incoming.readableEnded || incoming.destroyed) done();
    else incoming.on("data", onData).once("end", done).once("close", done).resume();
  });
}
