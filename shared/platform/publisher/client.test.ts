import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { attemptMs, createClient } from "./client.ts";

/** Publishers that never end an answer: each byte comes in time, and the last one never does. */

let server: Server | undefined;
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

/** Writes `first`, then `again` every few milliseconds for as long as the socket is open. */
async function dripping(first: string, again: string): Promise<{ url: URL; connections(): number }> {
  let connections = 0;
  const listening = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on("error", () => undefined); // the client leaves in the middle
    socket.once("data", () => {
      socket.write(first);
      const drip = setInterval(() => socket.write(again), 5);
      socket.on("close", () => clearInterval(drip));
      socket.on("close", () => sockets.delete(socket));
    });
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const { port } = listening.address() as { port: number };
  return { url: new URL(`http://127.0.0.1:${port}`), connections: () => connections };
}

const OK = "HTTP/1.1 200 OK\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

describe("an answer that never ends", () => {
  it.each([
    ["a byte at a time", `${OK}content-length: 1000000\r\n\r\n`, "x"],
    ["chunks without end", `${OK}transfer-encoding: chunked\r\n\r\n`, "1\r\nx\r\n"],
    ["a header that goes on", `${OK}x: `, "x"],
    ["100 Continue, for ever", CONTINUE, CONTINUE],
    ["an error page without end", "HTTP/1.1 503 Busy\r\ncontent-length: 1000000\r\n\r\n", "x"],
  ])("%s: the attempt has a deadline, and the connection is gone", async (_, first, again) => {
    const { url, connections } = await dripping(first, again);
    const client = createClient({
      base: url,
      signal: new AbortController().signal,
      patienceMs: 250,
      deadlineMs: () => 100,
    });
    await expect(client.get("/log/checkpoint", 1_000_000)).rejects.toThrow(
      /log\/checkpoint gives no answer \((the answer was not whole within 1 s|.*[Oo]verflow.*)\)/,
    );
    expect(connections()).toBeGreaterThan(0);
    expect(connections()).toBeLessThan(5);
    await expect.poll(() => sockets.size).toBe(0);
    client.close();
  });

  it("an answer that ends within its deadline is an answer", async () => {
    const { url } = await dripping(`${OK}content-length: 4\r\n\r\n`, "x");
    const client = createClient({
      base: url,
      signal: new AbortController().signal,
      patienceMs: 250,
      deadlineMs: () => 30_000,
    });
    expect((await client.get("/", 100)).body.toString()).toBe("xxxx");
    client.close();
  });

  it("a slow line has as long as the largest answer takes at 16 kB a second", () => {
    expect([attemptMs(0), attemptMs(16_000_000)]).toEqual([60_000, 1_060_000]);
  });
});
