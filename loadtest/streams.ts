import { connect } from "node:net";
import { loopback } from "./loopback.ts";

/**
 * Many clients of the stream in one process, each from an address of its own: `tsx loadtest/streams.ts PORT FIRST COUNT`. Says "open" when all have
 * their greeting, and at the end of its input when each saw the first byte of release 1: milliseconds since 1970, as JSON.
 */

const [port, first, count] = process.argv.slice(2).map(Number) as [number, number, number];
const NEEDLE = "event: release\nid: 1\n";
const seen: number[] = [];
const failures: string[] = [];
let open = 0;

for (let n = 0; n < count; n++) {
  const socket = connect({ port, host: "127.0.0.1", localAddress: loopback(first + n) });
  let text: string | undefined = "";
  socket.setEncoding("latin1");
  socket.once("connect", () => socket.write("GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
  socket.on("data", (chunk: string) => {
    const at = performance.timeOrigin + performance.now();
    if (text === undefined) return;
    const greeted = text.includes("retry:");
    text += chunk;
    if (!greeted && text.includes("retry:") && ++open === count) process.stdout.write("open\n");
    if (!text.includes(NEEDLE)) return;
    seen.push(at);
    text = undefined;
  });
  socket.on("error", (error) => failures.push(error.message));
  socket.on("close", () => failures.push("closed"));
}

process.stdin.on("end", () => {
  process.stdout.write(`${JSON.stringify({ seen, failures })}\n`, () => process.exit(0));
});
process.stdin.resume();
