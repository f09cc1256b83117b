import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

/** The ceiling: Hono with nothing in it, that answers with the very bytes which another server gives for this address, and its 304 below /304. */

/** Node's own; they come again by themselves. */
const OWN = new Set(["date", "connection", "keep-alive", "content-length"]);

async function answerOf(headers: Record<string, string>) {
  const asked = request(process.argv[2] as string, { headers: { "accept-encoding": "br", ...headers } }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  const body = await buffer(response);
  const own = Object.entries(response.headers as Record<string, string>).filter(([name]) => !OWN.has(name));
  return { body, headers: Object.fromEntries(own), tag: response.headers.etag ?? "" };
}

const full = await answerOf({});
const { headers } = await answerOf({ "if-none-match": full.tag });
const bytes = new Uint8Array(full.body);
const app = new Hono();
app.get("/304", (c) => c.body(null, 304, headers));
app.get("*", (c) => c.body(bytes, 200, full.headers));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => process.stdout.write(`${port}\n`));
