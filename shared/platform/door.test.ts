import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer as createPlainServer, type Server } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { certifyDoor, issue, makeAuthority } from "../../infra/stack/certificates.ts";
import { doorFetch, doorProblem, pinOf, pinProblem, WrongDoor } from "./door.ts";
import { createSubmitter } from "./submit.ts";

const servers: TcpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    (server as Server).closeAllConnections?.();
    await new Promise((resolve) => server.close(resolve));
  }
});

const listen = async (server: TcpServer, scheme: string) => {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const pairOf = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const pemOf = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
const RECEIPT = { index: 3, verdict: "accepted", findings: [], receipt: "r", statement: "s" };

/** A door that gives everyone a receipt, and keeps what it was sent and how many came. */
async function door(options: { maxVersion?: "TLSv1.2"; answers?: number[] } = {}) {
  const { privateKey, publicKey } = pairOf();
  const cert = await certifyDoor(privateKey, Date.now());
  const seen = { bodies: [] as string[], connections: 0, bytes: 0 };
  const { maxVersion, answers = [] } = options;
  const server = createServer(
    { key: pemOf(privateKey), cert, ...(maxVersion && { maxVersion }) },
    (request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        seen.bodies.push(body);
        response.writeHead(answers.shift() ?? 201).end(JSON.stringify(RECEIPT));
      });
    },
  );
  server.on("connection", () => seen.connections++);
  server.on("secureConnection", (socket) => {
    socket.on("data", (chunk: Buffer) => (seen.bytes += chunk.length));
    socket.on("error", () => undefined); // cut by the client: that is what is tested
  });
  return { url: await listen(server, "https"), pin: pinOf(publicKey), seen, cert };
}

const submitter = (ingestUrl: string, pins?: string[], patienceMs = 10_000) =>
  createSubmitter({ ingestUrl, pins, inFlight: 2, patienceMs });

describe("the door", () => {
  it("is known by any of its pins, whoever signed its certificate", async () => {
    const { url, pin, seen } = await door({ answers: [503, 201] });
    const office = submitter(url, [pinOf(pairOf().publicKey), pin]);
    expect(await office.submit(Buffer.from("e.y.J"))).toMatchObject({ kind: "receipt", index: 3 });
    expect(await office.submit(Buffer.from("e.y.K"))).toMatchObject({ kind: "receipt", index: 3 });
    office.close();
    expect(seen.bodies).toEqual(["e.y.J", "e.y.J", "e.y.K"]);
  });

  it("is given not a byte under another key, and is not asked again", async () => {
    const { url, seen } = await door();
    const office = submitter(url, [pinOf(pairOf().publicKey)]);
    await expect(office.submit(Buffer.from("e.y.J"))).rejects.toThrow(WrongDoor);
    await expect(doorFetch(url, [pinOf(pairOf().publicKey)])(new URL("/healthz", url))).rejects.toThrow(
      /is not the door that the definition names/,
    );
    office.close();
    expect([seen.connections, seen.bytes, seen.bodies]).toEqual([2, 0, []]);
  });

  it("is not known by an authority, be it the one that signed for loopback", async () => {
    const authority = await makeAuthority("of the web", Date.now());
    const { cert, key } = await issue(authority, { name: "ingest", for: "server", now: Date.now() });
    const url = await listen(createServer({ cert, key }), "https");
    const office = submitter(url, [pinOf(pairOf().publicKey)]);
    await expect(office.submit(Buffer.from("e.y.J"))).rejects.toThrow(WrongDoor);
    office.close();
  });

  it("speaks TLS 1.3, or is taken for one that is away", async () => {
    const { url, pin, seen } = await door({ maxVersion: "TLSv1.2" });
    const office = submitter(url, [pin], 200);
    await expect(office.submit(Buffer.from("e.y.J"))).rejects.toThrow("no receipt");
    office.close();
    expect(seen.bodies).toEqual([]);
  });

  it("that never finishes its handshake is not waited for", async () => {
    const url = await listen(
      createTcpServer((socket) => socket.resume()),
      "https",
    );
    const started = performance.now();
    await expect(doorFetch(url, ["x"])(new URL("/healthz", url))).rejects.toThrow("handshake in time");
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});

describe("an address of the door", () => {
  it.each([
    ["https://push.example.eu", undefined, "names no pin"],
    ["http://push.example.eu", ["x"], "tells everyone on the way"],
    ["http://push.example.eu", undefined, "tells everyone on the way"],
    ["http://10.0.0.1:8080", ["x"], "tells everyone on the way"],
    ["ftp://127.0.0.1", ["x"], "tells everyone on the way"],
    ["http://127.0.0.1", ["x"], "asks nobody for it"],
  ])("%s with pins %j is refused", (url, pins, why) => {
    expect(doorProblem(new URL(url), pins)).toContain(why);
    expect(() => submitter(url, pins)).toThrow(TypeError);
    expect(() => doorFetch(url, pins)).toThrow(TypeError);
  });

  it("may be plain on this machine, where the definition names no key", async () => {
    const server = createPlainServer((_, response) => response.writeHead(201).end(JSON.stringify(RECEIPT)));
    const office = submitter(await listen(server, "http"), undefined);
    expect(await office.submit(Buffer.from("e.y.J"))).toMatchObject({ kind: "receipt" });
    office.close();
  });
});

it("a door's own certificate is compared with the pins, where there are some", async () => {
  const { pin, cert } = await door();
  expect(pinProblem({ cert, key: "" }, [pin])).toBeUndefined();
  expect(pinProblem({ cert, key: "" }, undefined)).toBeUndefined();
  expect(pinProblem({ cert, key: "" }, [pinOf(pairOf().publicKey)])).toContain(pin);
});
