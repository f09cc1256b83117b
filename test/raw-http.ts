import { connect } from "node:net";

/** HTTP/1.1 by hand over a socket: no client normalises the target, drops a header, or follows anything. */

export interface Raw {
  /** 0: the connection was ended without an answer. */
  status: number;
  /** Header lines as sent, without those that differ from one moment to the next. */
  head: string[];
  body: Buffer;
  /** All bytes as they came. */
  bytes: Buffer;
}

const ANSWER_MS = 20_000;
/** The time, and the jittered second at which to come back. */
const PASSING = /^(date|retry-after):/i;

/** Sends one request and reads until the other side ends. Rejects if it does not within 20 seconds. */
export function ask(
  url: string,
  method: string,
  target: string,
  headers: readonly string[] = [],
  body = "",
): Promise<Raw> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port) });
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`no answer to ${method} ${target.slice(0, 80)}`)));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // Ended in the middle of what we still sent: that is an answer too.
      if (error.code === "ECONNRESET" || error.code === "EPIPE") return;
      reject(error);
    });
    socket.on("close", () => resolve(parse(Buffer.concat(chunks))));
    const lines = [`${method} ${target} HTTP/1.1`, `Host: ${hostname}:${port}`, "Connection: close", ...headers];
    if (body !== "") lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    socket.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1"));
  });
}

function parse(bytes: Buffer): Raw {
  const end = bytes.indexOf("\r\n\r\n");
  const [first = "", ...lines] = bytes.subarray(0, Math.max(end, 0)).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0);
  return { status, head: lines.filter((line) => !PASSING.test(line)), body: bytes.subarray(end + 4), bytes };
}

/** Asks everything, some at a time. */
export async function askAll<T>(all: readonly T[], one: (each: T) => Promise<void>, atOnce = 8): Promise<void> {
  const left = [...all];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await one(next);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
