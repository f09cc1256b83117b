import { sign } from "node:crypto";
import { beforeEach, expect, it } from "vitest";
import { readLog } from "../../test/read-log.ts";
import type { Written } from "../../test/written-log.ts";
import { newSampleKey, sampleDefinition } from "../definition/sample.ts";
import { signCheckpoint } from "../ledger/checkpoint.ts";
import type { Statement } from "../statement/types.ts";
import { readAuthorities } from "./log-authorities.ts";
import { LogBroken } from "./log-reader.ts";

/** Whoever holds the database, or the ledger's key, opens no origin: two trustees do, for one place of one log. */

const SECOND = "results.example.eu/sample-2";
/** Entry 0, a tally, and then the decision. */
const AT = 2;

const at = readLog(() => {
  const sample = sampleDefinition();
  newSampleKey(sample, "ledger-2");
  return sample;
});
beforeEach(async () => void (await at.log.append(at.say.tally("AT-1"))));

const head = async () => {
  const [row] = await at.harness.query<{ size: number; root: Buffer }>("select size::int, root from ledger.head");
  return { size: row?.size ?? 0, root: row?.root ?? Buffer.alloc(32) };
};
async function decision(more: object = {}, by = ["trustee-1", "trustee-2"]): Promise<Written> {
  const { size, root } = await head();
  const key = { id: "ledger-2", publicKey: at.sample.keys.get("ledger-2")?.jwk.x };
  const opens = { origin: SECOND, key, size, root: root.toString("base64"), reason: "as agreed" };
  const common = { type: "decision", ...at.say.common("EU", "trustee-1"), decision: "origin", about: "EU" };
  return at.say.signed({ ...common, ...opens, ...more } as unknown as Statement, ...by);
}
const insertRow = (jws: Uint8Array, index = AT) =>
  at.harness.query("insert into ledger.origin (index, origin, statement) values ($1, $2, $3)", [index, SECOND, jws]);
/** The head's checkpoint as the second origin's key signs it. */
async function signedAnew(): Promise<void> {
  const { size, root } = await head();
  const { privateKey, publicRaw } = at.sample.keys.get("ledger-2")!;
  const own = (text: Uint8Array) => sign(null, text, privateKey);
  const note = await signCheckpoint({ origin: SECOND, size, root, publicRaw, sign: own });
  await at.harness.query("alter table ledger.checkpoint disable trigger all");
  await at.harness.query("update ledger.checkpoint set note = $1 where size = $2", [note, size]);
}

/** As the counts read it: how many entries from the start; and then on from the head. */
async function read(): Promise<number> {
  let entries = 0;
  for await (const _ of at.readerOf().read(0, at.log.size())) entries++;
  await at.readerOf().startAt(at.log.size());
  return entries;
}
const authorities = async () => (await readAuthorities(at.pool, at.sample)).map(({ origin, from }) => [origin, from]);

it("an origin that two trustees opened there is read", async () => {
  const opens = await decision();
  await at.log.append(opens);
  await insertRow(opens.jws);
  await signedAnew();
  expect(await authorities()).toEqual([
    [at.sample.definition.origin, 0],
    [SECOND, AT + 1],
  ]);
  expect(await read()).toBe(3);
});

it.each<[string, () => Promise<Written>, string]>([
  ["one trustee signed", () => decision({}, ["trustee-1"]), "two trustees must have signed it"],
  ["offices signed", () => decision({}, ["AT-1", "AT-2"]), "two trustees must have signed it"],
  ["nobody known signed", async () => ({ ...(await decision()), jws: Buffer.from("{}") }), "it is no JWS"],
  ["it is another decision", async () => at.say.hold("AT"), "no decision that opens an origin"],
  ["it is of another definition", () => decision({ definition: "0".repeat(64) }), "another definition"],
  ["it names another place", () => decision({ size: 1 }), "does not fit there"],
  ["it names another origin", () => decision({ origin: `${SECOND}3` }), "names another one"],
  ["it names the ledger's own key", () => decision({ key: { id: "x", publicKey: ledgerKey() } }), "does not fit there"],
])("a row is not believed when %s", async (_, made, why) => {
  const opens = await made();
  await at.log.append(opens);
  await insertRow(opens.jws);
  const failure = await authorities().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(LogBroken);
  expect((failure as LogBroken).message).toContain(why);
  await expect(read()).rejects.toThrow(LogBroken);
});
const ledgerKey = () => at.sample.keys.get("ledger-1")?.jwk.x;

it("a decision that the log does not hold opens nothing", async () => {
  await at.log.append(at.say.tally("AT-2"));
  await insertRow((await decision({ size: AT })).jws);
  await signedAnew();
  await expect(authorities()).rejects.toThrow("the entry is about another statement");
});

it.each<[string, () => Promise<Written>, string]>([
  [
    "it was signed for another tree",
    () => decision({ root: Buffer.alloc(32, 1).toString("base64") }),
    "for another log",
  ],
  ["the ledger refused it", async () => ({ ...(await decision()), verdict: "quarantined" }), "not what the log says"],
])("a decision in the log opens nothing when %s", async (_, made, why) => {
  const opens = await made();
  await at.log.append(opens);
  await insertRow(opens.jws);
  await signedAnew();
  await expect(read()).rejects.toThrow(why);
});

it("an accepted decision without a row is not passed over", async () => {
  await at.log.append(await decision());
  await expect(read()).rejects.toThrow("what was read of the origins is not what the log says");
});
