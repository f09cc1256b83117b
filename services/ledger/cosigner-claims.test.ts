import { describe, expect, it } from "vitest";
import { eventually } from "../../test/ledger.ts";
import type { Wrong } from "../../test/wayward-witness.ts";
import { elsewhere, stops, witnessed } from "../../test/witnessed.ts";

/** What witnesses hold against the ledger: believed when it is proved, or when the log is opened; otherwise told. */

const at = witnessed();

const CLAIMS: [string, Wrong][] = [
  ["a larger tree", { status: 409, type: "text/x.tlog.size", body: "700\n" }],
  ["another tree", { status: 409 }],
  ["an inconsistent one", { status: 422 }],
];

describe("a witness that holds what the database does not", () => {
  it("and is ahead of it when the log is opened: nothing is written", async () => {
    await (await at.grown()).stop();
    expect(await at.two.add(await elsewhere(at, { size: 4, more: 3, oldSize: 4 }))).toMatchObject({ kind: "cosigned" });
    await stops(
      at,
      await at.start(),
      "log.behind-witness",
      /witness\.example\/2 holds a head of 7 entries, signed by this log, .* ends at 4/,
    );
  });

  it("and holds another tree of a size that it has, when the log is opened: nothing is written", async () => {
    const here = await at.grown();
    at.two.instead = () => ({ status: 503 });
    await at.sender.send();
    await eventually(() => at.has(at.one, 5));
    await here.stop();
    expect(await at.two.add(await elsewhere(at, { size: 4, more: 1, oldSize: 4 }))).toMatchObject({ kind: "cosigned" });
    at.two.instead = undefined;
    await stops(
      at,
      await at.start(),
      "log.forked",
      /witness\.example\/2 holds another tree of 5 entries, signed by this log/,
    );
  });

  it("and shows it while the log is written: nothing more is", async () => {
    const here = await at.grown();
    expect(await at.one.add(await elsewhere(at, { size: 4, more: 2, oldSize: 4 }))).toMatchObject({ kind: "cosigned" });
    await at.sender.send();
    await stops(
      at,
      here,
      "log.behind-witness",
      /witness\.example\/1 holds a head of 6 entries, signed by this log, .* ends at 5/,
    );
  });

  it("and shows another tree of the same size while the log is written: nothing more is", async () => {
    const here = await at.grown();
    expect(await at.one.add(await elsewhere(at, { size: 4, more: 1, oldSize: 4 }))).toMatchObject({ kind: "cosigned" });
    await at.sender.send();
    await stops(at, here, "log.forked", /witness\.example\/1 holds another tree of 5 entries, signed by this log/);
  });

  it("and cannot be read back, but says so at its first word: nothing is written", async () => {
    await (await at.grown()).stop();
    at.two.instead = (path) =>
      path === "/add-checkpoint" ? { status: 409, type: "text/x.tlog.size", body: "7\n" } : { status: 404 };
    await stops(
      at,
      await at.start(),
      "log.behind-witness",
      /holds a head of 7 entries, and .*take it out of SCRUTIN_WITNESSES/,
    );
  });

  it("and cannot be read back, but finds the tree inconsistent at its first word: nothing is written", async () => {
    await (await at.grown()).stop();
    at.two.instead = (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      return body.startsWith("old 3\n") ? { status: 422 } : { status: 409, type: "text/x.tlog.size", body: "3\n" };
    };
    await stops(
      at,
      await at.start(),
      "log.forked",
      /holds another tree of 3 entries than .*take it out of SCRUTIN_WITNESSES/,
    );
  });

  it.each(CLAIMS)("that only says so (%s) after it has agreed with the database stops nobody", async (_, wrong) => {
    const here = await at.grown();
    at.two.instead = (path) => (path === "/add-checkpoint" ? wrong : { status: 404 });
    for (let n = 0; n < 3; n++) await at.sender.send();
    await eventually(() => at.has(at.one, 7));
    await eventually(() => at.two.sent.length > 3);
    expect(here.writer.role()).toBe("writer");
    expect(await at.cosignedBy(at.two)).not.toContain(7);
    at.two.instead = undefined;
    await eventually(() => at.has(at.two, 7), 30_000);
  });

  it.each(CLAIMS)(
    "that was away when the log was opened and then only says so (%s) stops nobody, and is told",
    async (_, wrong) => {
      at.two.instead = () => ({ status: 503 });
      const here = await at.write();
      at.two.instead = (path) => (path === "/add-checkpoint" ? wrong : { status: 404 });
      await at.sender.send();
      await eventually(() => unproven().length > 0);
      const { entry } = await at.sender.send();
      await eventually(() => at.has(at.one, entry.index + 1));
      expect(here.writer.role()).toBe("writer");
      at.two.instead = undefined;
      await eventually(() => at.has(at.two, entry.index + 1), 30_000);
      expect(unproven()).toEqual([{ code: "witness.unproven", about: "witness.example/2" }]);
    },
  );
  const unproven = () =>
    at.incidents.filter(({ code }) => code === "witness.unproven").map(({ code, about }) => ({ code, about }));

  it("that was away when the log was opened, and then shows it: nothing more is written", async () => {
    await (await at.grown()).stop();
    expect(await at.two.add(await elsewhere(at, { size: 4, more: 3, oldSize: 4 }))).toMatchObject({ kind: "cosigned" });
    at.two.instead = () => ({ status: 503 });
    const here = await at.write();
    at.two.instead = undefined;
    await at.sender.send();
    await stops(at, here, "log.behind-witness", /witness\.example\/2 holds a head of 7 entries, signed by this log/);
  });

  it("that has forgotten what it held is told, and asked from there", async () => {
    await at.grown();
    let forgotten = true;
    at.two.instead = (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      if (body.startsWith("old 2\n")) forgotten = false;
      return forgotten ? { status: 409, type: "text/x.tlog.size", body: "2\n" } : { status: 503 };
    };
    await at.sender.send();
    await eventually(() => !forgotten);
    await eventually(() =>
      at.incidents.some(({ code, about }) => code === "witness.went-back" && about === at.two.remote.name),
    );
    at.two.instead = undefined;
    await eventually(() => at.has(at.two, 5), 30_000);
  });
});
