import { createHash } from "node:crypto";
import { demonstrationKey } from "../infra/elections/ep2024/demonstration-keys.ts";
import { committedDefinition } from "../infra/elections/ep2024/exercise.ts";
import type { Definition } from "../shared/definition/schema.ts";
import { createDataKey, seal } from "../shared/platform/seal.ts";
import { signStatement, writeStatement } from "../shared/platform/sign.ts";
import { authenticate, signersOf } from "../shared/statement/authentic.ts";
import { openEnvelope } from "../shared/statement/jws.ts";
import { leastStatementBytes } from "../shared/statement/least-bytes.ts";
import type { Statement, Tally } from "../shared/statement/types.ts";

/**
 * What sealing a statement costs at the door, beside verifying it: core time of this process (all its threads), medians of interleaved
 * rounds. Exits 1 if it is more than a tenth for any size of statement.
 */

const STATE = "RO";
const MOST = 0.1;
const ROUNDS = 31;
/** Statements a round, so that one takes some tens of milliseconds. */
const SIZES = [
  { tallies: 1, batch: 200 },
  { tallies: 40, batch: 40 },
  { tallies: 1_000, batch: 4 },
];
const DATA_KEYS = 10;
/**
 * A data key is made once a minute and process, and these share it: a tenth of what one door takes (README.md). A door with less to do has
 * all the time that it wants.
 */
const PER_SECOND = 100;
const SECONDS = 60;

const { bytes } = committedDefinition();
const definition = JSON.parse(Buffer.from(bytes).toString("utf8")) as Definition;
const hash = createHash("sha256").update(bytes).digest("hex");
const signers = signersOf(definition);
const vault = { vaultPublicKey: definition.vault.publicKey, recoveryPublicKey: definition.vault.recoveryKey };
const state = definition.states.find(({ id }) => id === STATE);
if (state === undefined) throw new Error(`the definition has no state ${STATE}`);
const lists = state.lists.map(({ id }) => id);
const units = state.units.flatMap(({ ids }) => ids);
const kid = `${STATE}-1`;
const signer = { kid, privateKey: demonstrationKey(kid) };

/** A unit's figures, of the length that real ones have. */
function tallyOf(seed: number): Tally {
  const votes = Object.fromEntries(lists.map((list, n) => [list, (seed * 31 + n * 17) % 397]));
  const valid = Object.values(votes).reduce((sum, n) => sum + n, 0);
  const figures = { electors: 2 * valid, ballots: valid, blank: 0, invalid: 0, votes };
  return { unit: units[seed % units.length] as string, version: 1 + (seed % 3), status: "final", ...figures };
}

function statementOf(tallies: number, sequence: number) {
  const says = { type: "tally", tallies: Array.from({ length: tallies }, (_, n) => tallyOf(sequence + n)) } as const;
  const about = { definition: hash, state: STATE, sequence, now: Date.parse("2024-06-09T21:30:00Z") };
  const payload = writeStatement(says, about);
  const jws = signStatement(payload, [signer]);
  const statement = JSON.parse(Buffer.from(payload).toString("utf8")) as Statement;
  return { jws, statement, sha256: createHash("sha256").update(jws).digest("hex") };
}

/** As the door seals: to a length in which no figure shows. */
function sealed(key: Uint8Array, { jws, statement, sha256 }: ReturnType<typeof statementOf>): Uint8Array {
  return seal(key, "statement", sha256, jws, { atLeast: leastStatementBytes(definition, statement, 1) });
}

/** Core time of one of `count` pieces of work, µs. */
async function coreTime(count: number, work: (n: number) => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < count; n++) await work(n);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

/** Medians over the rounds of each measurement, taken in turn; the first round of each is warm-up. */
async function interleaved<K extends string>(measures: Record<K, () => Promise<number>>): Promise<Record<K, number>> {
  const names = Object.keys(measures) as K[];
  const taken = new Map(names.map((name) => [name, [] as number[]]));
  for (let round = 0; round <= ROUNDS; round++)
    for (const name of names) {
      const value = await measures[name]();
      if (round > 0) taken.get(name)?.push(value);
    }
  return Object.fromEntries([...taken].map(([name, values]) => [name, median(values)])) as Record<K, number>;
}

async function measure({ tallies, batch }: (typeof SIZES)[number]) {
  const statements = Array.from({ length: batch }, (_, n) => statementOf(tallies, n + 1));
  const { key } = await createDataKey({ definition: hash, ...vault });
  const at = (n: number) => statements[n] as (typeof statements)[number];
  const verify = async (n: number) => {
    const opened = openEnvelope(at(n).jws);
    if (opened.kind === "refused") throw new Error(opened.code);
    const found = await authenticate(opened.envelope, signers);
    if (found.kind === "refused") throw new Error(found.code);
  };
  const medians = await interleaved({
    verifying: () => coreTime(batch, verify),
    sealing: () => coreTime(batch, (n) => sealed(key, at(n))),
    dataKey: () => coreTime(DATA_KEYS, () => createDataKey({ definition: hash, ...vault })),
  });
  return { tallies, bytes: at(0).jws.length, ...medians };
}

type Measured = Awaited<ReturnType<typeof measure>>;

const perStatement = ({ sealing, dataKey }: Measured) => sealing + dataKey / (PER_SECOND * SECONDS);
const ratioOf = (measured: Measured) => perStatement(measured) / measured.verifying;

const COLUMNS = ["tallies", "bytes", "verify µs", "seal µs", "with its key", "of a verification"];
function rowOf(measured: Measured): string[] {
  const { tallies, bytes, verifying, sealing } = measured;
  const times = [verifying, sealing, perStatement(measured)].map((us) => us.toFixed(1));
  return [String(tallies), String(bytes), ...times, `${(100 * ratioOf(measured)).toFixed(1)} %`];
}

async function main(): Promise<void> {
  const measured: Measured[] = [];
  for (const size of SIZES) measured.push(await measure(size));
  const rows = [COLUMNS, ...measured.map(rowOf)];
  for (const row of rows)
    process.stdout.write(`${row.map((cell, n) => cell.padStart(COLUMNS[n]?.length ?? 0)).join("  ")}\n`);
  const dataKey = median(measured.map((one) => one.dataKey));
  const [first] = measured as [Measured];
  const least = dataKey / (MOST * first.verifying - first.sealing);
  process.stdout.write(
    `A data key takes ${dataKey.toFixed(0)} µs, once a minute and process; here ${PER_SECOND * SECONDS} statements share it, ${PER_SECOND} a second.` +
      `${least > 0 ? ` From ${Math.ceil(least)} a minute on, those of one tally cost less than a tenth.` : ""}\n`,
  );
  const dear = measured.filter((one) => ratioOf(one) > MOST);
  if (dear.length === 0) return;
  process.stderr.write(`Sealing costs more than a tenth of a verification: ${dear.map(({ tallies }) => tallies)}\n`);
  process.exitCode = 1;
}

await main();
