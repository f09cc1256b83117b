import { serve } from "@hono/node-server";
import { Hono } from "hono";

/** The ceiling: Hono with nothing in it, that answers with the bytes which another server gives for this address, and 304 below /304. */

const response = await fetch(process.argv[2] as string, { headers: { "accept-encoding": "br" } });
// fetch takes the coding off; what is measured is as many bytes as the line carries.
const length = Number(response.headers.get("content-length"));
const bytes = Buffer.alloc(length, 0x61);
const headers = {
  "content-type": response.headers.get("content-type") ?? "",
  "content-encoding": "br",
  etag: response.headers.get("etag") ?? "",
};
const app = new Hono();
app.get("/304", (c) => c.body(null, 304, { etag: headers.etag }));
app.get("*", (c) => c.body(bytes, 200, headers));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => process.stdout.write(`${port}\n`));
