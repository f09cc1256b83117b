import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { loopback } from "./loopback.ts";

export interface Asked {
  /** Of the first connection's address: others follow. */
  first?: number;
  port: number;
  path: string;
  headers: Record<string, string>;
  connections: number;
  seconds: number;
}

/** Processes that ask, so that it is the server that has nothing left. */
const ASKERS = 2;

/**
 * Answers a second of a server that is asked for one thing by so many connections, each the next when it has its answer. Rejects when an answer
 * is not as long as the first.
 */
export async function answersPerSecond(asked: Asked): Promise<number> {
  const connections = asked.connections / ASKERS;
  const own = fileURLToPath(import.meta.url);
  const rates = Array.from({ length: ASKERS }, async (_, n) => {
    const say = JSON.stringify({ ...asked, connections, first: n * connections });
    const child = spawn(process.execPath, ["--import", "tsx", own, say], { stdio: ["ignore", "pipe", "inherit"] });
    const [said, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
    if (code !== 0) throw new Error("a process that asks failed; see above");
    return Number(said);
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}

/** Sockets and lengths only: the least that asking can cost. */
async function ask({ port, path, headers, connections, seconds, first = 0 }: Asked): Promise<number> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join("")}\r\n`, "latin1");
  let answers = 0;
  let measuring = false;
  let over = false;
  const length = await lengthOfOne(port, request, first);
  const closed = Array.from({ length: connections }, (_, n) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: loopback(first + n), noDelay: true });
    let got = 0;
    return new Promise<void>((resolve, reject) => {
      socket.once("connect", () => socket.write(request));
      socket.on("data", (chunk) => {
        got += chunk.length;
        if (got < length) return;
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
  await pause(WARM_UP_MS);
  const started = performance.now();
  measuring = true;
  await pause(seconds * 1_000);
  measuring = false;
  const took = performance.now() - started;
  over = true;
  await Promise.race([Promise.all(closed), pause(WARM_UP_MS)]);
  return (answers * 1_000) / took;
}

const WARM_UP_MS = 500;

/** The second answer on a connection: whatever is prepared when it is first asked for is there then. */
async function lengthOfOne(port: number, request: Buffer, n: number): Promise<number> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: loopback(n) });
  let length = 0;
  for (let round = 0; round < 2; round++) {
    socket.write(request);
    let got = Buffer.alloc(0);
    for (let known: number | undefined; known === undefined || got.length < known; known = lengthOf(got))
      got = Buffer.concat([got, (await once(socket, "data"))[0] as Buffer]);
    length = got.length;
  }
  socket.destroy();
  return length;
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rate = await ask(JSON.parse(process.argv[2] ?? "") as Asked);
  process.stdout.write(`${rate}\n`, () => process.exit(0));
}
