import { connect } from "node:net";
import { loopback } from "./loopback.ts";

export interface Asked {
  port: number;
  path: string;
  headers: Record<string, string>;
  connections: number;
  seconds: number;
}

/**
 * Answers a second of a server that is asked for one thing by so many connections, each the next when it has its answer. Sockets and lengths
 * only, so that the server is what is measured: all answers must be as long as the first. Rejects if one is not.
 */
export async function answersPerSecond({ port, path, headers, connections, seconds }: Asked): Promise<number> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join("")}\r\n`, "latin1");
  let answers = 0;
  let measuring = false;
  let over = false;
  let length: number | undefined;
  const closed = Array.from({ length: connections }, (_, n) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: loopback(n), noDelay: true });
    let head = Buffer.alloc(0);
    let got = 0;
    return new Promise<void>((resolve, reject) => {
      socket.once("connect", () => socket.write(request));
      socket.on("data", (chunk) => {
        if (length === undefined) {
          head = Buffer.concat([head, chunk]);
          length = lengthOf(head);
        }
        got += chunk.length;
        if (length === undefined || got < length) return;
        if (got > length) return reject(new Error(`an answer of ${got} bytes among those of ${length}`));
        got = 0;
        if (measuring) answers++;
        if (over) socket.destroy();
        else socket.write(request);
      });
      socket.once("error", reject);
      socket.once("close", resolve);
    });
  });
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await pause(500);
  const started = performance.now();
  measuring = true;
  await pause(seconds * 1_000);
  measuring = false;
  over = true;
  const took = performance.now() - started;
  await Promise.all(closed);
  return (answers * 1_000) / took;
}

/** Of a whole answer, when its head is there. Rejects what is no answer that was asked for. */
function lengthOf(bytes: Buffer): number | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = bytes.subarray(0, end).toString("latin1");
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
  if (status === 304) return end + 4;
  const body = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (status !== 200 || body === undefined) throw new Error(`answered with ${head.split("\r\n")[0]}`);
  return end + 4 + Number(body);
}
