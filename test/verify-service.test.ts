import { sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { cosign } from "../shared/ledger/cosignature.ts";
import { useBrowser } from "./browser.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { createWorld, drive, poolOf, recountHere, tabulateHere, type World } from "./vault.ts";
import { closures } from "./vault-scenario.ts";
import { allBut, askFor, line } from "./verify-steps.ts";
import { openWrittenLog, speakers, type WrittenLog } from "./written-log.ts";

/** The verification page against `release` itself: a log in Postgres, cosigned heads, and a release of both counts. */

const browser = useBrowser();

let harness: Harness;
let log: WrittenLog;
let world: World;
let url: string;
/** Of a tally, and of the closure of AT. That of LU opens the gate. */
let hashes: string[];
let openGate: () => Promise<unknown>;

beforeAll(async () => {
  harness = await startHarness({ sample: sampleDefinition({ witnesses: 2 }) });
  log = await openWrittenLog(harness.databaseUrl("ledger"), harness.sample);
  world = createWorld(harness.sample, log);
  const say = speakers(harness.sample);
  const [at, lu] = closures(say);
  await log.append(say.tally("AT-1"), at!);
  await cosignAll();
  ({ url } = await harness.start("release"));
  hashes = await statements();
  openGate = () => log.append(lu!);
});

afterAll(async () => {
  await log?.close();
  await harness?.close();
});

async function statements(): Promise<string[]> {
  const rows = await harness.query<{ sha256: string }>(
    "select encode(sha256, 'hex') as sha256 from ledger.statement order by index",
  );
  return rows.map(({ sha256 }) => sha256);
}

/** Both witnesses cosign every head that they have not. */
async function cosignAll(): Promise<void> {
  const notes = await harness.query<{ size: string; note: string }>(
    "select size, note from ledger.checkpoint p where not exists (select from ledger.cosignature c where c.size = p.size)",
  );
  for (const { size, note } of notes)
    for (const name of ["witness-1", "witness-2"]) {
      const { publicRaw: raw, privateKey } = harness.sample.keys.get(name)!;
      const text = note.slice(0, note.indexOf("\n\n") + 1);
      const signText = (bytes: Uint8Array) => sign(null, bytes, privateKey);
      const made = await cosign(text, { name, raw, seconds: 1_717_966_800, sign: signText });
      await harness.query("insert into ledger.cosignature (size, witness, line) values ($1, $2, $3)", [
        size,
        name,
        made,
      ]);
    }
}

/** Both counts look until the first release is out. */
async function release(): Promise<void> {
  const pools = (["tabulate", "recount"] as const).map((by) => poolOf(harness.databaseUrl(by), by));
  const [tabulate, recount] = [tabulateHere(world, pools[0]!), recountHere(world, pools[1]!)];
  const shares = async () => {
    const [row] = await harness.query<{ keys: number; dataKeys: number }>(
      `select (select count(*)::int from release.key_share where number = 1) as keys,
              (select count(*)::int from release.data_key_share) as "dataKeys"`,
    );
    return row?.keys === 2 && row.dataKeys >= 2;
  };
  await drive(world, () => ({ tabulate, recount }), shares);
  for (const pool of pools) await pool.end();
  await cosignAll();
  await eventually(async () => (await fetch(`${url}/v1/releases/1/proof`)).ok);
}

describe("the page of `release`", () => {
  const later = {
    "The statement": "not possible yet",
    "The verdict": "not possible yet",
    "The release": "not possible yet",
  };

  it("verifies a statement before the lift and after it", async (test) => {
    const { page, requests } = await browser.open(test, { refused: /\/(statements|log\/judgements|v1\/releases)/ });
    await page.goto(url);
    await page.getByRole("link", { name: "/verify" }).click();
    await page.getByText("Nothing verified yet.").waitFor();
    const ask = async (hash: string) => (await askFor(page, hash)).states;
    const [tally, closed] = hashes as [string, string];
    expect(await ask(tally)).toEqual(allBut(later));
    expect(await line(page, "The statement").innerText()).toContain("The figures are not public yet.");
    expect(await ask(closed)).toEqual(allBut({ ...later, "The statement": "holds" }));

    await openGate();
    await release();
    expect(await ask(tally)).toEqual(allBut({}));
    expect(await line(page, "The statement").getByRole("cell").allInnerTexts()).toContain("812");
    expect(await line(page, "The release").innerText()).toContain("Release 1 counts the first");
    for (const asked of requests) expect(new URL(asked).origin).toBe(url);
  });
});
