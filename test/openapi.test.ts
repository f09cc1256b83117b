import { createHash } from "node:crypto";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleTally } from "../shared/definition/sample.ts";
import { writePullToken } from "../shared/platform/pull-token.ts";
import { type Harness, startHarness } from "./harness.ts";
import { type OpenedWorld, openOpenedWorld } from "./opened.ts";
import { parliamentSigner } from "./pull-run.ts";

/** The document that the publication endpoint gives of itself, and the endpoint: neither says what the other does not. */

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; schema: { pattern?: string }; example?: string }[];
  responses: Record<string, { content?: Record<string, { schema?: object }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, { get: Operation }>;
  components: { schemas: Record<string, object> };
}

let harness: Harness;
let shut: OpenedWorld;
let world: OpenedWorld;
let document: Document;
let statement = "";
let withFigures = "";
let validate: (schema: object, value: unknown) => string[];

async function write(into: OpenedWorld): Promise<void> {
  const { log, say } = into;
  const { sample } = harness;
  const tally = (sequence: number, electors = 812) =>
    say.signed(
      { type: "tally", ...say.common("AT", "AT-1", sequence), tallies: [sampleTally("AT-1", { electors })] },
      "AT-1",
    );
  const first = tally(1);
  const closed = say.closed("AT");
  // Twice under one number, and a number left out.
  await log.append(first, tally(1, 900), tally(9), closed);
  withFigures = createHash("sha256").update(first.jws).digest("hex");
  statement = createHash("sha256").update(closed.jws).digest("hex");
  expect(sample.definition.publication).toBeDefined();
  await into.look();
}

beforeAll(async () => {
  harness = await startHarness();
  [shut, world] = await Promise.all([openOpenedWorld(harness), openOpenedWorld(harness)]);
  await write(shut);
  await write(world);
  await world.lift();
  await world.giveKeys();
  const first = await world.release();
  await world.announce(first);
  const second = await world.release();
  await world.announce(second);
  await world.giveKeys();
  await world.seal();
  document = (await (await world.ask("/openapi.json")).json()) as Document;
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, "openapi");
  validate = (schema, value) => {
    // References are those of the document.
    const bound = JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')) as object;
    const check = ajv.compile(bound);
    check(value);
    return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}, 120_000);
afterAll(async () => {
  for (const opened of [shut, world]) await opened?.close();
  await harness?.close();
});

/** What fills the parameters of each operation, so that it is given; others have an example that is. */
const filled = (at: OpenedWorld): Record<string, Record<string, string>> => ({
  state: { release: "2", state: "AT" },
  changes: { release: "2" },
  file: { release: "2", file: "sheets/eu.json" },
  release: { release: "1" },
  tile: { tile: `0/000.p/${at.log.size()}` },
  proof: { sha256: statement },
  statement: { sha256: withFigures },
  equivocation: { key: "AT-1", sequence: "1" },
  gap: { key: "AT-1", range: gap },
  sealedByNumberAndSize: sealedAt,
});
let sealedAt: Record<string, string> = {};
let gap = "1-1";

function addressOf(path: string, { operationId, parameters = [] }: Operation, at = world): string {
  const values = { ...filled(at)[operationId] };
  for (const { name, in: where, example } of parameters)
    if (where === "path") values[name] ??= example ?? `no example for ${name}`;
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

function authorized(): Record<string, string> {
  const { sample } = harness;
  const terms = {
    definition: sample.hash,
    issuedMs: world.now,
    expiresMs: world.now + 60_000,
    nonce: Buffer.alloc(16),
  };
  const token = writePullToken(parliamentSigner(sample), terms);
  return { authorization: `Bearer ${token}` };
}

/** That an answer is one of those that the document has for the operation; its status. */
async function held(address: string, operation: Operation, answer: Response): Promise<number> {
  const documented = operation.responses[answer.status];
  expect(documented, `${address}: ${answer.status}`).toBeDefined();
  const type = answer.headers.get("content-type")?.split(";")[0] ?? "";
  const body = Buffer.from(await answer.arrayBuffer());
  if (body.length === 0 && answer.status !== 200) return answer.status;
  const content = documented?.content?.[type];
  expect(content, `${address}: ${answer.status} ${type}`).toBeDefined();
  if (/[/+]json$/.test(type) && content?.schema !== undefined)
    expect(validate(content.schema, JSON.parse(body.toString("utf8"))), address).toEqual([]);
  return answer.status;
}

const operations = () => Object.entries(document.paths).map(([path, { get }]) => ({ path, operation: get }));

describe("the OpenAPI document", () => {
  it("is one of OpenAPI 3.1", async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document) as unknown as Record<string, unknown>);
    expect(errors ?? []).toEqual([]);
    expect([valid, validator.version, document.openapi]).toEqual([true, "3.1", "3.1.0"]);
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("has every route of the service, and no other", () => {
    const bare = (path: string) => path.replaceAll(/:\w+(\{[^}]*\})?|\{\w+\}/g, "{}").replace(/\*$/, "{}");
    const routes = world.app.routes.filter(({ method }) => method !== "ALL");
    expect(routes.every(({ method }) => method === "GET")).toBe(true);
    const served = new Set(
      routes.map(({ path }) => bare(path)).map((path) => path.replace(/^\/verify\/.+/, "/verify/{}")),
    );
    expect([...served].sort()).toEqual(
      operations()
        .map(({ path }) => bare(path))
        .sort(),
    );
  });

  it("is there to read, without a script and without anything from elsewhere", async () => {
    const answer = await world.ask("/api");
    const page = await answer.text();
    expect(answer.headers.get("content-security-policy")).toMatch(/^default-src 'none'/);
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\//);
    for (const { path, operation } of operations()) {
      expect(page).toContain(`id="${operation.operationId}"`);
      expect(page).toContain(`<code>${path}</code>`);
    }
  });
});

describe("the endpoint answers as its document says", () => {
  it("with what is asked for, after the lift", async () => {
    const latest = await world.ask("/v1/sealed/latest", { headers: authorized() });
    const [, number = "", size = ""] = /(\d+)\/(\d+)$/.exec(latest.headers.get("content-location") ?? "") ?? [];
    sealedAt = { number, size };
    const { gaps } = (await (await world.ask("/v1/evidence")).json()) as { gaps: { from: number; to: number }[] };
    gap = `${gaps[0]?.from}-${gaps[0]?.to}`;
    for (const { path, operation } of operations()) {
      if (operation.operationId === "stream") continue;
      const address = addressOf(path, operation);
      const status = await held(address, operation, await world.ask(address, { headers: authorized() }));
      expect([address, status]).toEqual([address, operation.operationId === "releaseStatement" ? 303 : 200]);
      const head = await world.ask(address, { method: "HEAD", headers: authorized() });
      expect([address, head.status, await head.text()]).toEqual([address, status, ""]);
      const other = await world.ask(address, { method: "DELETE", headers: authorized() });
      expect([address, other.status, other.headers.get("allow")]).toEqual([address, 405, "GET, HEAD"]);
    }
  });

  it("with its refusals, before the lift", async () => {
    const open = ["/statements/", "/log/checkpoint", "/log/tile", "/v1/proofs", "/v1/definition", "/v1/codes"];
    const figures = operations().filter(({ path }) => path.startsWith("/v1/releases") || path.includes("judgements"));
    expect(figures.length).toBeGreaterThan(10);
    for (const { path, operation } of operations()) {
      if (operation.operationId === "stream") continue;
      const address = addressOf(path, operation, shut);
      const status = await held(address, operation, await shut.ask(address));
      if (figures.some((one) => one.path === path)) expect([address, status]).toEqual([address, 403]);
      else if (open.some((one) => path.startsWith(one) && operation.operationId !== "statement"))
        expect([address, status]).toEqual([address, 200]);
    }
  });

  it("with its refusals to nonsense, and with parts of a body", async () => {
    const hostile = [
      "%00",
      "..%2f..",
      "a%2fb",
      "%F0%9F%92%A9",
      "0",
      "-1",
      "__proto__",
      "x".repeat(3_000),
      "%E0%A4%A",
      "'",
    ];
    for (const { path, operation } of operations()) {
      if (operation.operationId === "stream") continue;
      for (const value of hostile) {
        const address = path.replaceAll(/\{\w+\}/g, value);
        await held(address, operation, await world.ask(address));
        await held(address, operation, await world.ask(`${address}?since=${value}&${value}=${value}`));
      }
      const address = addressOf(path, operation);
      for (const range of ["bytes=0-0", "bytes=99999999-", "bytes=-1", "bytes=5-1", "lines=1-2"]) {
        const answer = await world.ask(address, { headers: { range, ...authorized() } });
        if (answer.status === 206) expect(operation.responses["206"], address).toBeDefined();
        else await held(address, operation, answer);
      }
    }
  });
});
