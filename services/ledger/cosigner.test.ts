import { describe, expect, it } from "vitest";
import { verifyCosignatures } from "../../shared/ledger/cosignature.ts";
import { eventually, ownKeyOf } from "../../test/ledger.ts";
import { startWaywardWitness, type Wrong } from "../../test/wayward-witness.ts";
import { witnessed } from "../../test/witnessed.ts";
import { LogBroken } from "./receipts.ts";

/** The ledger among witnesses that are true, away or slow. */

const at = witnessed();

describe("heads that were committed", () => {
  it("are cosigned by every witness, and the lines are stored that verify", async () => {
    await at.write();
    const { entry } = await at.sender.send();
    await eventually(async () => (await at.has(at.one, entry.index + 1)) && at.has(at.two, entry.index + 1));
    for (const { note, line, witness } of await at.cosignatures()) {
      const known = [at.one, at.two].map(({ remote }) => remote).filter(({ name }) => name === witness);
      expect(verifyCosignatures(note + line, known)).toHaveLength(1);
    }
    expect(at.one.sent.length).toBeGreaterThan(0);
    expect(at.incidents).toEqual([]);
  });

  it("are asked for together: few requests, one at a time, and heads that both have cosigned while the log grows", async () => {
    const here = await at.write();
    for (let n = 0; n < 150; n++) await at.sender.send();
    const last = here.writer.size();
    await eventually(async () => (await at.has(at.one, last)) && at.has(at.two, last));
    expect(at.one.sent.length).toBeLessThan(last / 2);
    expect(at.one.mostAtOnce()).toBe(1);
    expect(at.two.mostAtOnce()).toBe(1);
    const others = await at.cosignedBy(at.two);
    expect((await at.cosignedBy(at.one)).filter((size) => others.includes(size)).length).toBeGreaterThan(3);
  });

  it("are asked for again when the log is opened anew", async () => {
    const here = await at.write();
    await at.sender.send();
    await eventually(() => at.has(at.two, 2));
    await here.stop();
    at.two.instead = () => ({ hang: true });
    await at.write();
    const { entry } = await at.sender.send();
    await eventually(() => at.has(at.one, entry.index + 1));
    at.two.instead = undefined;
    await eventually(() => at.has(at.two, entry.index + 1), 30_000);
  });
});

describe("a log that is opened", () => {
  const OTHER = "results.example.eu/other";

  it("under another origin hears nothing of what was asked under the one before", async () => {
    const here = await at.grown();
    const { cosigner } = here.seq;
    const { own } = ownKeyOf(at.harness.sample);
    let answer: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const asked: string[] = [];
    at.two.instead = async (path, body) => {
      if (path !== "/add-checkpoint") {
        // What is still under way, if anything is, ends while the log is being opened.
        answer();
        await eventually(() => at.has(at.two, 5), 1_000).catch(() => undefined);
        return { status: 404 };
      }
      if (!body.includes(`${OTHER}\n`)) return held.then(() => undefined);
      asked.push(body.slice(0, body.indexOf("\n")));
      return { status: 409, type: "text/x.tlog.size", body: "0\n" };
    };
    const before = at.two.sent.length;
    await at.sender.send();
    await eventually(() => at.two.sent.length > before && at.has(at.one, 5));
    const [head] = await at.harness.query<{ size: number; root: Buffer }>("select size::int, root from ledger.head");
    const log = { origin: OTHER, publicKey: own };
    await cosigner.open({ ...head!, log, note: undefined });
    cosigner.committed({ ...head!, log, note: `${OTHER}\n5\n${head!.root.toString("base64")}\n\n` });
    await eventually(() => asked.length > 0);
    expect(asked[0]).toBe("old 0");
    expect(at.incidents.filter(({ code }) => code === "witness.went-back")).toEqual([]);
  });
});

describe("a log that contradicts its own heads", () => {
  it("is written no more, whoever finds it", async () => {
    const here = await at.write({ headMs: 2_000 });
    const { entry } = await at.sender.send();
    // Before the next head is asked about, and its proof made of these leaves.
    await at.harness.query("alter table ledger.entry disable trigger all");
    await at.harness.query("update ledger.entry set leaf = sha256('another') where index = $1", [entry.index]);
    await expect(here.ended).rejects.toThrow(LogBroken);
  });
});

describe("a witness that is away", () => {
  it("delays neither the start for more than seconds nor any receipt, is told, and is asked again", async () => {
    at.two.instead = () => ({ hang: true });
    const began = performance.now();
    await at.write();
    expect(performance.now() - began).toBeLessThan(6_000);
    await eventually(() =>
      at.incidents.some(({ code, about }) => code === "witness.away" && about === "witness.example/2"),
    );
    const sent = performance.now();
    const { entry } = await at.sender.send();
    expect(performance.now() - sent).toBeLessThan(2_000);
    await eventually(() => at.has(at.one, entry.index + 1));
    expect(await at.cosignedBy(at.two)).toEqual([]);
    at.two.instead = undefined;
    await eventually(() => at.has(at.two, entry.index + 1), 30_000);
    expect(at.incidents.filter(({ code }) => code === "witness.away")).toHaveLength(1);
  });

  it.each<[string, (path: string) => Wrong | undefined]>([
    ["does not know the log", () => ({ status: 404 })],
    ["does not take its key", () => ({ status: 403 })],
    ["is broken", () => ({ status: 500 })],
    ["leads elsewhere", () => ({ status: 307, location: `${at.one.remote.url}/add-checkpoint` })],
    ["floods", () => ({ body: "x".repeat(10_000_000) })],
    ["says yes, and nothing", (path) => (path === "/add-checkpoint" ? { status: 200 } : undefined)],
    ["says yes with a status that is not 200", (path) => (path === "/add-checkpoint" ? { status: 202 } : undefined)],
    [
      "says that it holds what this log never signed",
      () => ({ status: 200, body: "results.example.eu/sample\n9\nAAAA\n\n— x y\n" }),
    ],
  ])("or %s has no line in the database, and stops nobody", async (_, instead) => {
    at.two.instead = (path) => instead(path);
    await at.write();
    const { entry } = await at.sender.send();
    await eventually(() => at.has(at.one, entry.index + 1));
    await eventually(() => at.incidents.some(({ code }) => code === "witness.away"));
    expect(await at.cosignedBy(at.two)).toEqual([]);
  });

  it("or gives another witness' line has none in the database", async () => {
    const three = await startWaywardWitness(at.harness.sample, "witness.example/3");
    let given = 0;
    at.two.instead = async (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      const answer = await three.add(body);
      if (answer.kind !== "cosigned") return { status: 500 };
      given += 1;
      return { body: answer.line };
    };
    await at.write();
    const { entry } = await at.sender.send();
    await eventually(() => at.has(at.one, entry.index + 1));
    await three.close();
    expect(given).toBeGreaterThan(0);
    expect(await at.cosignedBy(at.two)).toEqual([]);
  });

  it("or gives its own line for another checkpoint has none in the database", async () => {
    let kept: { note: string; line: string } | undefined;
    let given = 0;
    at.two.instead = async (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      const note = body.slice(body.indexOf("\n\n"));
      if (kept === undefined) {
        const answer = await at.two.add(body);
        kept = { note, line: answer.kind === "cosigned" ? answer.line : "" };
      }
      if (kept.note === note) return { status: 500 };
      given += 1;
      return { body: kept.line };
    };
    await at.write();
    const { entry } = await at.sender.send();
    await eventually(() => at.has(at.one, entry.index + 1));
    await eventually(() => given > 0);
    expect(kept?.line).toContain(at.two.remote.name);
    expect(await at.cosignedBy(at.two)).toEqual([]);
  });
});
