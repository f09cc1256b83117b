import { describe, expect, it } from "vitest";
import { canonical } from "../shared/ledger/entry.ts";
import { allBut, askFor, drop, found, line, NINE, useVerifyPage } from "./verify-steps.ts";
import { AT, MARKUP, WITNESSES } from "./verify-world.ts";

/** The verification page in a real browser, and every way in which a file or the server may lie to it. */

const { world, hashOf, openPage } = useVerifyPage();

/** What is wrong, what is given to the page, and which lines do not all hold. */
type Lie = [name: string, give: () => Promise<string> | string, others: Record<string, string>];

const later = Object.fromEntries(NINE.slice(3).map((title) => [title, "not possible yet"]));
const noEntry = {
  "The entry": "does not hold",
  "The statement": "not possible yet",
  "The verdict": "not possible yet",
  "The release": "not possible yet",
};
const flip = (text: string, at: number) => text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
const proofOf = (witnesses?: string[]) => world().log.proof(AT.tally, 200, witnesses);
const lie = (path: string, body: string | Uint8Array | number) => {
  world().lies.set(path, body);
  return proofOf();
};

const FILES: Lie[] = [
  [
    "no proof at all",
    () => "<!doctype html>",
    { "The proof": "does not hold", "The checkpoint": "not possible yet", ...later },
  ],
  ["a byte of a hash", async () => flip(await proofOf(), (await proofOf()).indexOf("\nindex") + 20), noEntry],
  ["a byte of the entry", async () => flip(await proofOf(), (await proofOf()).indexOf("extra") + 40), noEntry],
  ["another index", async () => (await proofOf()).replace("index 2\n", "index 4\n"), noEntry],
  ["no entry", async () => (await proofOf()).replace(/extra .*\n/, ""), noEntry],
  [
    "a byte of the root",
    async () => flip(await proofOf(), (await proofOf()).indexOf("\n200\n") + 9),
    { "The checkpoint": "does not hold", ...later },
  ],
  [
    "a byte of the log's signature",
    async () => flip(await proofOf(), (await proofOf()).indexOf("— ") + 60),
    { "The checkpoint": "does not hold", ...later },
  ],
  [
    "another size",
    async () => (await proofOf()).replace("\n200\n", "\n201\n"),
    { "The checkpoint": "does not hold", ...later },
  ],
  [
    "the log of someone else",
    () => world().foreign.proof(AT.tally, 200),
    { "The checkpoint": "does not hold", ...later },
  ],
  [
    "a byte of a witness' line",
    async () => flip(await proofOf(), (await proofOf()).lastIndexOf("=") - 8),
    { "The witnesses": "does not hold" },
  ],
  ["one witness too few", () => proofOf([WITNESSES[1]!]), { "The witnesses": "not possible yet" }],
  ["the same witness twice", () => proofOf([WITNESSES[1]!, WITNESSES[1]!]), { "The witnesses": "not possible yet" }],
  [
    "a fork of the log",
    () => world().fork.proof(AT.polls, 200),
    { "The log of today": "does not hold", "The release": "not possible yet" },
  ],
];

const SERVER: Lie[] = [
  [
    "no definition",
    () => lie("/v1/definition", "{}"),
    { "The definition": "does not hold", "The checkpoint": "not possible yet", ...later },
  ],
  [
    "another definition",
    () => lie("/v1/definition", Buffer.from(world().sample.bytes).toString().replace('"Sample"', '"Simple"')),
    { "The statement": "does not hold", "The release": "does not hold" },
  ],
  [
    "a head of a fork",
    async () => lie("/log/checkpoint", await world().fork.note(300)),
    { "The log of today": "does not hold", "The release": "not possible yet" },
  ],
  [
    "a head of the same size, and a fork",
    async () => lie("/log/checkpoint", await world().fork.note(200)),
    { "The log of today": "does not hold", "The release": "not possible yet" },
  ],
  [
    "a head that nobody signed",
    async () => lie("/log/checkpoint", (await world().log.note(300)).replace("\n300\n", "\n299\n")),
    { "The log of today": "does not hold", "The release": "not possible yet" },
  ],
  [
    "a head of someone else",
    async () => lie("/log/checkpoint", await world().foreign.note(300)),
    { "The log of today": "not possible yet", "The release": "not possible yet" },
  ],
  [
    "a log that goes on under another origin",
    async () => {
      world().lies.set("/log/checkpoint", await world().foreign.note(300));
      return world().foreign.proof(AT.tally, 200);
    },
    { "The checkpoint": "not possible yet", ...later },
  ],
  [
    "a tile with another hash",
    () => lie("/log/tile/0/000", Buffer.alloc(8192)),
    { "The log of today": "does not hold", "The release": "not possible yet" },
  ],
  [
    "no tile",
    () => lie("/log/tile/0/000", 503),
    { "The log of today": "not possible yet", "The release": "not possible yet" },
  ],
  [
    "another statement",
    () => lie(`/statements/${hashOf(AT.tally)}`, world().log.statements[AT.markup]!),
    { "The statement": "does not hold" },
  ],
  [
    "another verdict",
    () =>
      lie(
        "/log/judgements/0",
        world()
          .log.judgements.map((text) => text.replace("accepted", "quarantined"))
          .join("\n"),
      ),
    { "The verdict": "does not hold" },
  ],
  [
    "another release",
    async () => lie("/v1/releases/1", Buffer.concat([world().log.release.bytes, Buffer.from(" ")])),
    { "The release": "does not hold" },
  ],
  [
    "a release of a fork",
    async () => lie("/v1/releases/1/proof", await world().fork.proof(AT.release, 300)),
    { "The release": "does not hold" },
  ],
  [
    "a release that is a tally",
    async () => lie("/v1/releases/1/proof", await world().log.proof(AT.polls, 300)),
    { "The release": "does not hold" },
  ],
  [
    "a release without its statement",
    () => lie(`/statements/${hashOf(AT.release)}`, world().fork.statements[AT.release]!),
    { "The release": "does not hold" },
  ],
  [
    "a list without sense",
    () => lie("/v1/releases", canonical({ releases: [{ number: "1" }] })),
    { "The release": "does not hold" },
  ],
  ["nothing but errors", () => lie("/log/judgements/0", 500), { "The verdict": "not possible yet" }],
];

describe("a lie", () => {
  it.for([
    ["file", FILES],
    ["server", SERVER],
  ] as const)("of a %s is seen, each in its own line", async ([, lies], test) => {
    const { page } = await openPage(test, { refused: /\/log\// });
    for (const [name, give, others] of lies) {
      await drop(page, await give(), name);
      const { summary, states } = await found(page, name);
      expect([name, states]).toEqual([name, allBut(others)]);
      const wrong = NINE.filter((title) => others[title] === "does not hold").map((title) => title.toLowerCase());
      const said = wrong.length > 0 ? `Does not hold: ${wrong.join(", ")}.` : "Not possible yet: ";
      expect(summary).toContain(said);
      world().lies.clear();
    }
  });

  it("of whoever signed is seen: a key that may not speak for that state, and a signature that is none", async (test) => {
    const { page } = await openPage(test);
    for (const [index, kid] of [
      [AT.stranger, "LU-1 (Claire, office of LU): broken"],
      [AT.forged, "AT-1 (Anna, office of AT): broken"],
    ] as const) {
      const { states } = await askFor(page, hashOf(index));
      expect(states).toEqual(allBut({ "The statement": "does not hold" }));
      expect(await line(page, "The statement").innerText()).toContain(kid);
    }
  });

  it("is seen: the proof of another statement than was asked for, and of none", async (test) => {
    const { page } = await openPage(test, { refused: /\/v1\/proofs\// });
    world().lies.set(`/v1/proofs/${hashOf(AT.tally)}`, await proofOf());
    world().lies.set(`/v1/proofs/${hashOf(AT.polls)}`, await proofOf());
    expect((await askFor(page, hashOf(AT.polls))).states).toEqual(allBut(noEntry));
    const { summary } = await askFor(page, "0".repeat(64));
    expect(summary).toContain("EXERCISE, no real result. Does not hold: the proof.");
  });

  it("that is markup is shown as text", async (test) => {
    const { page } = await openPage(test);
    await drop(page, await world().log.proof(AT.markup, 200), `${MARKUP}.tlog-proof`);
    const { summary, states } = await found(page);
    expect([summary.startsWith(`${MARKUP}.tlog-proof: EXERCISE`), states]).toEqual([true, allBut({})]);
    const cells = await line(page, "The statement").getByRole("cell").allInnerTexts();
    expect(cells.slice(-2)).toEqual([`AT01 (AT01): 120, AT02 (${MARKUP}): 98, AT90 (AT90): 2`, MARKUP]);
    const odd = (await proofOf()).replace("results.example.eu/sample\n200", `${MARKUP}\n200`);
    await drop(page, odd, "origin");
    await page
      .locator("#summary")
      .getByText("origin: EXERCISE, no real result. Does not hold: the checkpoint.")
      .waitFor();
    expect(await line(page, "The checkpoint").innerText()).toContain(MARKUP);
    expect(await page.locator("#summary, #checks").locator("img, script").count()).toBe(0);
    expect(await page.evaluate("Object.hasOwn(globalThis, 'owned')")).toBe(false);
  });
});
