import { createHash } from "node:crypto";
import { beforeEach, expect, it } from "vitest";
import { newSampleKey, type Sample, sampleDefinition } from "../../shared/definition/sample.ts";
import { authorityOfDefinition, type ReadAuthority } from "../../shared/platform/log-authorities.ts";
import { importVerifyKey, type VerifyKey } from "../../shared/statement/ed25519.ts";
import { createPublicLog, type PublicLog } from "./log.ts";
import { bodyOf, type MemoryLog, memoryLog, statementHash } from "./log-fixture.ts";

/** An origin that lies in the database is followed where the log's entries and tree are those that two trustees named, and nowhere else. */

const SECOND = "results.example.eu/sample-2";
/** The entry that opens it. */
const AT = 300;

let sample: Sample;
let memory: MemoryLog;
let log: PublicLog;
let authorities: ReadAuthority[];

beforeEach(async () => {
  sample = sampleDefinition();
  newSampleKey(sample, "ledger-2");
  memory = memoryLog(sample);
  await memory.grow(AT);
  authorities = [authorityOfDefinition(sample.definition)];
  log = createPublicLog({ ...memory.sources, authorities: () => authorities });
  await log.round();
});

const second = (opened: Partial<ReadAuthority["opened"]> = {}, from = AT + 1): ReadAuthority => {
  const named = { statement: statementHash(AT), root: Buffer.from(memory.rootOf(AT)).toString("base64") };
  const key = importVerifyKey(sample.keys.get("ledger-2")!.publicRaw) as VerifyKey;
  return { from, origin: SECOND, kid: "ledger-2", key, opened: { ...named, ...opened } };
};
/** The log goes on for some entries, signed by the second origin's key. */
const goesOn = (size: number) => memory.grow(size, 0, { origin: SECOND, kid: "ledger-2" });

it("is served where the decision stands, on the root that it names", async () => {
  authorities.push(second());
  await goesOn(AT + 20);
  await log.round();
  expect(log.status()).toEqual({ looked: true, broken: false });
  expect(log.checkpoint()?.note.split("\n").slice(0, 2)).toEqual([SECOND, String(AT + 20)]);
  expect((await log.published(AT))?.note.split("\n")[0]).toBe(sample.definition.origin);
});

it.each<[string, Partial<ReadAuthority["opened"]>]>([
  ["for another tree", { root: createHash("sha256").update("another log").digest("base64") }],
  ["by another statement", { statement: statementHash(AT + 1) }],
])("is not served when it was opened %s: the log stays where it was", async (_, opened) => {
  authorities.push(second(opened));
  await goesOn(AT + 20);
  await log.round();
  expect(log.status()).toEqual({ looked: true, broken: true });
  expect(log.checkpoint()?.size).toBe(AT);
  expect(memory.incidents).toMatchObject([{ code: "log.broken", about: expect.stringContaining(`entry ${AT}`) }]);
});

it("is not served when the database has another entry there than was hashed", async () => {
  authorities.push(second({ statement: statementHash(7) }));
  await goesOn(AT + 20);
  memory.bodies[AT] = Buffer.from(bodyOf(AT).toString("utf8").replace(statementHash(AT), statementHash(7)));
  await log.round();
  expect([log.status().broken, log.checkpoint()?.size]).toEqual([true, AT]);
});

it("is not served when it comes to lie in the log's past", async () => {
  const root = Buffer.from(memory.rootOf(AT)).toString("base64");
  authorities.push(second({ statement: statementHash(7), root }, 8));
  await goesOn(AT + 20);
  await log.round();
  expect([log.status().broken, log.checkpoint()?.size]).toEqual([true, AT]);
});

it("waits, when it lies there before the head that it comes with was read", async () => {
  authorities.push(second());
  await log.round();
  expect([log.status().broken, log.checkpoint()?.size]).toEqual([false, AT]);
});
