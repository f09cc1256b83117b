import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { type Harness, startHarness } from "./harness.ts";
import { drive, recountHere, tabulateHere } from "./vault.ts";
import { closures, openScenario, type Scenario, sharesOf } from "./vault-scenario.ts";

/**
 * Whoever has the database password of one count, and no key, writes rows that nobody can take away again. The night goes on: one lift,
 * and the release with both shares.
 */

type By = "tabulate" | "recount";

/** The size of the log, in SQL. */
const HEAD = "(select max(index) + 1 from ledger.entry)";
const NONE = "decode('00', 'hex')";
const BEYOND = 9_000_000_000_000;

describe("a row that one count's password has planted", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample: sampleDefinition() });
  });
  afterAll(() => harness.close());

  const inScenario = async (test: (scenario: Scenario) => Promise<void>) => {
    const scenario = await openScenario(harness);
    try {
      await test(scenario);
    } finally {
      await scenario.close();
    }
  };
  const given = async (scenario: Scenario) => [
    await sharesOf(scenario, "tabulate"),
    await sharesOf(scenario, "recount"),
  ];
  const bothGave = async (scenario: Scenario) => (await given(scenario)).every(([first]) => first === 1);
  const proposals = async ({ query }: Scenario, type: string) =>
    (await query("select from tabulate.proposal where type = $1", [type])).rows.length;

  /** Whatever was posted: of each sequence one statement alone, so never two lifts. */
  const oneOfEach = ({ world }: Scenario) => {
    const payloads = world.posted.map((jws) => (JSON.parse(jws) as { payload: string }).payload);
    const said = [...new Set(payloads)].map((text) => JSON.parse(Buffer.from(text, "base64url").toString("utf8")));
    expect(said.map(({ type, sequence }) => [type, sequence])).toEqual([
      ["lift", 1],
      ["release", 2],
    ]);
  };
  const goesOn = async (scenario: Scenario, counts: Parameters<typeof drive>[1] = () => scenario) => {
    await drive(scenario.world, counts, () => bothGave(scenario));
    oneOfEach(scenario);
  };
  const codes = ({ world }: Scenario, by: By) =>
    world.incidents.filter((incident) => incident.by === by).map(({ code }) => code);

  it("is a candidate or an answer beyond the log: it is passed over", async () => {
    await inScenario(async (scenario) => {
      const { log, say, query } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      // Postgres refuses both; here they lie there from before it did.
      for (const table of ["tabulate.candidate", "recount.answer"]) {
        await query(`alter table ${table} disable trigger look`);
        for (const number of [1, 2])
          await query(`insert into ${table} (number, size, sealed) values (${number}, ${BEYOND}, ${NONE})`);
      }
      await goesOn(scenario);
      expect(scenario.world.incidents).toEqual([]);
    });
  });

  const rows: [string, By, string, string[]][] = [
    [
      "a candidate of the prefix that comes next",
      "tabulate",
      `insert into tabulate.candidate (number, size, sealed) values (1, ${HEAD}, ${NONE})`,
      ["candidate.broken"],
    ],
    [
      "a candidate of another number, of the longest prefix",
      "tabulate",
      `insert into tabulate.candidate (number, size, sealed) select n, ${HEAD}, ${NONE} from generate_series(2, 20) n`,
      [],
    ],
    [
      "an answer to the candidate that comes next",
      "recount",
      `insert into recount.answer (number, size, sealed) values (1, ${HEAD}, ${NONE})`,
      ["answer.broken"],
    ],
    [
      "answers to every prefix so far",
      "recount",
      `insert into recount.answer (number, size, sealed) select 1, n, ${NONE} from generate_series(0, ${HEAD}) n
        where n <= ${HEAD}`,
      ["answer.broken"],
    ],
  ];
  it.each(rows)("is %s: the next prefix is released", async (_, by, sql, incidents) => {
    await inScenario(async (scenario) => {
      const { log, say, pools } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await pools[by].query(sql);
      await goesOn(scenario);
      expect(codes(scenario, "tabulate")).toEqual(incidents);
      expect(codes(scenario, "recount")).toEqual([]);
    });
  });

  it("is an answer in the place of the newest candidate's: an older one that both found is released", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, recount, pools } = scenario;
      await log.append(say.tally("AT-1"));
      await tabulate.round();
      await recount.round();
      await log.append(say.tally("AT-2"), ...closures(say));
      world.clocks = { nats: null };
      world.steadyMs += 6_000;
      await tabulate.round();
      await pools.recount.query(
        `insert into recount.answer (number, size, sealed)
          select number, size, ${NONE} from tabulate.candidate order by size desc limit 1`,
      );
      world.clocks = {};
      await goesOn(scenario);
    });
  });

  it.each(["lift", "release"])("is a cosignature under the %s: it is proposed anew, once", async (type) => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, recount, pools } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      const proposed = async () => (await proposals(scenario, type)) > 0;
      const planting = {
        async round() {
          const ms = await tabulate.round();
          if (!planted && (await proposed())) {
            planted = true;
            await pools.recount.query(
              "insert into recount.cosignature (proposal, signature) select sha256, $1 from tabulate.proposal where type = $2",
              [Buffer.alloc(64), type],
            );
          }
          return ms;
        },
      };
      let planted = false;
      await goesOn(scenario, () => ({ tabulate: planting, recount }));
      expect(await proposals(scenario, type)).toBe(2);
      expect(codes(scenario, "tabulate")).toEqual(["cosignature.broken"]);
      // After a restart the one that was given up is not taken for the one that waits.
      const again = tabulateHere(world, pools.tabulate);
      for (let n = 0; n < 3; n++) await again.round();
      expect(await proposals(scenario, type)).toBe(2);
    });
  });

  it("is a heap of proposals before a restart: the lift that waits is found, and no second is made", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, recount, pools } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.doorOpen = false;
      await tabulate.round();
      // Of the right sequence, issued later than ours; newer, as Postgres has it; and some that are nothing at all.
      await pools.tabulate.query(
        `insert into tabulate.proposal (sha256, type, payload, signature)
          select sha256(forged), type, forged, signature from tabulate.proposal, generate_series(1, 150) n,
            lateral (select convert_to(regexp_replace(convert_from(payload, 'UTF8'),
              '"issued":"[0-9]{4}', '"issued":"' || 2100 + n), 'UTF8') as forged) f`,
      );
      await pools.tabulate.query(
        `insert into tabulate.proposal (sha256, type, payload, signature)
          select sha256(convert_to(n::text, 'UTF8')), 'lift', ${NONE}, ${NONE} from generate_series(1, 150) n`,
      );
      await recount.round();
      const again = { tabulate: tabulateHere(world, pools.tabulate), recount: recountHere(world, pools.recount) };
      for (let n = 0; n < 3; n++) await again.tabulate.round();
      world.doorOpen = true;
      await goesOn(scenario, () => again);
      expect(await proposals(scenario, "lift")).toBe(301);
      expect((await scenario.query("select from recount.cosignature")).rows).toHaveLength(2);
    });
  });

  it.each<By>(["tabulate", "recount"])(
    "is a share of a later release, as %s: the next release goes out all the same",
    async (by) => {
      await inScenario(async (scenario) => {
        const { log, say, world, pools } = scenario;
        const taken = new Set<string>();
        await log.append(say.tally("AT-1"), ...closures(say));
        await drive(
          world,
          () => scenario,
          () => bothGave(scenario),
          taken,
        );
        await pools[by].query("select release.give_key_share(99, 4, $1)", [Buffer.alloc(32)]);
        await log.append(say.tally("AT-2"));
        const again = { tabulate: tabulateHere(world, pools.tabulate), recount: recountHere(world, pools.recount) };
        await drive(
          world,
          () => again,
          async () => (await given(scenario)).every((numbers) => numbers.includes(2)),
          taken,
        );
        expect(world.incidents).toEqual([]);
      });
    },
  );

  const parts: [string, By, string][] = [
    ["tabulate's, of a state", "tabulate", "('AT', $1)"],
    ["tabulate's, of a state without an entry", "tabulate", "('LU', $1)"],
    ["tabulate's road", "tabulate", "('road', $1)"],
    ["recount's count", "recount", "('count', $1)"],
    ["recount's keys", "recount", "('left-out', $1)"],
  ];
  describe.each([
    ["before the first snapshot", false],
    ["in the place of a snapshot", true],
  ])("is a part %s", (_, stored) => {
    it.each(parts)("%s: it counts from the start, says so once, and stores it anew", async (__, by, values) => {
      await inScenario(async (scenario) => {
        const { log, say, world, pools } = scenario;
        await log.append(say.tally("AT-1"), say.closed("AT"));
        if (stored) {
          for (let n = 0; n < 3; n++) {
            world.steadyMs += 6_000;
            await scenario.tabulate.round();
            await scenario.recount.round();
          }
          expect((await scenario.query(`select from ${by}.position`)).rows).toHaveLength(1);
        }
        const or = "on conflict (name) do update set sealed = excluded.sealed";
        await pools[by].query(`insert into ${by}.part (name, sealed) values ${values} ${or}`, [Buffer.alloc(400)]);
        await pools[by].query(`insert into ${by}.position (size) values (3) on conflict do nothing`);
        await log.append(say.closed("LU"));
        const counts = () => ({
          tabulate: tabulateHere(world, pools.tabulate),
          recount: recountHere(world, pools.recount),
        });
        const first = counts();
        await goesOn(scenario, () => first);
        expect(world.incidents).toEqual([{ by, code: "snapshot.broken" }]);
        const said = first[by].lines.filter(({ msg }) => String(msg).startsWith("the stored snapshot is not used"));
        expect(said).toHaveLength(1);
        // What was stored since is sound: the next start says nothing.
        for (const count of [first.tabulate, first.recount]) await count.close();
        const second = counts();
        await second.tabulate.round();
        await second.recount.round();
        expect([second.tabulate.status().working, second.recount.status().working]).toEqual([true, true]);
        expect(world.incidents).toHaveLength(1);
      });
    });
  });
});
