import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventsOf, type StreamEvent } from "./stream.ts";

async function read(chunks: readonly Uint8Array[]): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of eventsOf(Readable.from(chunks) as IncomingMessage)) events.push(event);
  return events;
}

const TEXT = `: hello

retry: 1000
event: release
id: 1
data: {"number":1}

:heartbeat
data:first
data: second é

event: nothing

event: release
data: {"number":2}

data: never ended`;

const EVENTS = [
  { event: "release", data: '{"number":1}' },
  { event: "message", data: "first\nsecond é" },
  { event: "release", data: '{"number":2}' },
];

describe("a stream of events", () => {
  it.each(["\n", "\r\n", "\r"])("is read in whatever pieces it comes, with line ends %j", async (end) => {
    const bytes = Buffer.from(TEXT.replaceAll("\n", end), "utf8");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((to, n) => bytes.subarray(places[n], to));
        expect(await read(chunks)).toEqual(EVENTS);
      }),
    );
  });

  it("without end is refused before it takes memory", async () => {
    const line = Buffer.alloc(32 * 1024, "a");
    await expect(read([Buffer.from("data:"), line, line, line])).rejects.toThrow("an event without end");
    const many = Array.from({ length: 10 }, () => Buffer.from(`data:${"a".repeat(10_000)}\n`));
    await expect(read(many)).rejects.toThrow("an event without end");
  });
});
