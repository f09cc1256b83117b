import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createServiceProbes, ServiceAddresses } from "./probes.ts";

const servers: Server[] = [];

/** A service that answers as told: a status and a body by path. */
async function serviceThat(answer: (path: string, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => answer(request.url ?? "", response));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

const NOTHING_MORE = { answersAs: null, position: null, head: null, behindSince: null };

async function probed(url: string, now = 1_000) {
  const probes = createServiceProbes({ services: { ledger: url }, fetchOf: () => fetch, now: () => now });
  await probes.look();
  return probes.views()[0];
}

describe("the probes", () => {
  it("know nothing before they have asked", () => {
    const probes = createServiceProbes({
      services: { ledger: "http://127.0.0.1:1" },
      fetchOf: () => fetch,
      now: () => 0,
    });
    expect(probes.views()).toEqual([
      { name: "ledger", up: false, ready: false, since: null, checks: {}, ...NOTHING_MORE },
    ]);
  });

  it("pass on yes and no, and nothing else that a service says", async () => {
    const url = await serviceThat((path, response) =>
      path === "/readyz"
        ? json(response, 200, { status: "ready", checks: { database: true }, latest: 4711, secret: "x" })
        : json(response, 200, { status: "ok" }),
    );
    expect(await probed(url)).toEqual({
      name: "ledger",
      up: true,
      ready: true,
      since: "1970-01-01T00:00:01.000Z",
      checks: { database: true },
      ...NOTHING_MORE,
    });
  });

  it.each<[string, (path: string, response: ServerResponse) => void, object]>([
    [
      "up and not ready",
      (path, response) => json(response, path === "/readyz" ? 503 : 200, { checks: { nats: false } }),
      { up: true, ready: false, checks: { nats: false } },
    ],
    [
      "ready, it says, and no health",
      (path, response) => json(response, path === "/readyz" ? 200 : 500, { checks: {} }),
      { up: false, ready: false },
    ],
    [
      "checks that are figures",
      (_, response) => json(response, 200, { checks: { votes: 12 } }),
      { up: true, ready: false, checks: {} },
    ],
    ["no JSON", (_, response) => response.end("<html>"), { up: true, ready: false, checks: {} }],
    [
      "a redirect to one that is well",
      (path, response) =>
        path === "/well" ? json(response, 200, { checks: {} }) : response.writeHead(302, { location: "/well" }).end(),
      { up: false, ready: false },
    ],
    ["a cut connection", (_, response) => response.destroy(), { up: false, ready: false }],
  ])("%s", async (_, answer, expected) => {
    expect(await probed(await serviceThat(answer))).toMatchObject(expected);
  });

  it("find a service that is not there, and keep since when", async () => {
    const url = await serviceThat((_, response) => json(response, 200, { checks: {} }));
    let now = 1_000;
    const probes = createServiceProbes({ services: { ledger: url }, fetchOf: () => fetch, now: () => now });
    await probes.look();
    now = 2_000;
    await probes.look();
    expect(probes.views()[0]?.since).toBe("1970-01-01T00:00:01.000Z");
    servers[0]?.closeAllConnections();
    await new Promise((resolve) => servers.pop()?.close(resolve));
    now = 3_000;
    await probes.look();
    expect(probes.views()[0]).toMatchObject({ up: false, ready: false, since: "1970-01-01T00:00:03.000Z" });
  });
});

describe("SCRUTIN_SERVICES", () => {
  it.each(["", "{", "[]", '{"Ledger": "http://127.0.0.1:1"}', '{"ledger": "nowhere"}', '{"ledger": 1}'])(
    "refuses %j",
    (text) => {
      expect(ServiceAddresses.safeParse(text).success).toBe(false);
    },
  );

  it("takes names and addresses", () => {
    expect(ServiceAddresses.parse('{"ledger": "http://127.0.0.1:1"}')).toEqual({ ledger: "http://127.0.0.1:1" });
  });
});
