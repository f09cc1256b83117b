import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { problemsOf } from "./browser.ts";
import { allBut, askFor, drop, found, line, useVerifyPage } from "./verify-steps.ts";
import { AT } from "./verify-world.ts";

/** The verification page in a real browser: what it shows of a true log, of what is not public yet, and where it cannot work. */

const { browser, world, hashOf, openPage } = useVerifyPage();

const notYet = {
  "The statement": "not possible yet",
  "The verdict": "not possible yet",
  "The release": "not possible yet",
};

describe("a true log", () => {
  it("verifies a proof that is dropped, and shows what the office signed", async (test) => {
    const { page, requests } = await openPage(test);
    await drop(page, await world().log.proof(AT.tally, 200));
    expect(await found(page)).toEqual({
      summary: "entry.tlog-proof: EXERCISE, no real result. All 9 checks hold.",
      states: allBut({}),
    });
    const facts = await page.locator("#checks").innerText();
    for (const fact of [
      world().sample.hash,
      hashOf(AT.tally),
      "witness-2 (Operator of witness-2)",
      "cosigned 2024-06-09T21:00:00.000Z",
      "AT01 (AT01): 120",
      "Anna, office of AT",
      "accepted",
      world().log.release.sha256,
    ])
      expect(facts).toContain(fact);
    expect(await line(page, "The statement").getByRole("cell").allInnerTexts()).toEqual([
      "AT-1",
      String(AT.tally),
      "final",
      "812",
      "231",
      "4",
      "7",
      expect.stringContaining("AT02"),
      "as counted",
    ]);
    expect(await page.title()).toBe("EXERCISE: Verify a statement");
    expect(requests.length).toBeGreaterThan(20);
    for (const url of requests) expect(new URL(url).origin).toBe(world().url);
  });

  it("takes a file by keyboard alone", async (test) => {
    const { page } = await openPage(test);
    const choosing = page.waitForEvent("filechooser");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.id")).toBe("file");
    await page.keyboard.press("Enter");
    const chooser = await choosing;
    const buffer = Buffer.from(await world().log.proof(AT.twoSigners, 300));
    for (const name of ["first", "second"]) {
      await chooser.setFiles({ name, mimeType: "text/plain", buffer });
      await page.locator("#summary").getByText(`${name}: EXERCISE, no real result. All 9 checks hold.`).waitFor();
    }
    expect(await line(page, "The statement").innerText()).toContain("Claire, office of LU and Denis, office of LU");
  });

  it("asks for statements by their hash", async (test) => {
    const { page } = await openPage(test, { refused: /\/statements\// });
    const ask = async (index: number) => (await askFor(page, hashOf(index))).states;
    // By keyboard alone, as it stands in a receipt or on paper.
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.insertText(`  ${hashOf(AT.polls).toUpperCase()} `);
    await page.keyboard.press("Enter");
    expect((await found(page)).states).toEqual(allBut({}));
    expect(await ask(AT.quarantined)).toEqual(allBut({}));
    expect(await line(page, "The verdict").innerText()).toMatch(
      /quarantined, and counts for nothing[\s\S]*F\.301, unit AT-1/,
    );
    expect(await ask(AT.newKey)).toEqual(allBut({}));
    expect(await line(page, "The statement").innerText()).toContain("Anna, office of AT and the key that it brings");
    expect(await ask(AT.byNewKey)).toEqual(allBut({ "The statement": "not possible yet" }));
    expect(await line(page, "The statement").innerText()).toContain("a key that came by way of the log");
    expect(await ask(AT.last)).toEqual(allBut(notYet));
    expect(await line(page, "The release").innerText()).toContain("No release counts the log up to this entry yet.");
  });

  it("knows the definition as the beginning of the log, and a proof that is newer than the head shown", async (test) => {
    const { page } = await openPage(test, { refused: /\/log\/tile\// });
    world().size = 290;
    await drop(page, await world().log.proof(0, 300));
    // Tiles of a head that is not shown yet are not served.
    expect((await found(page)).states).toEqual(
      allBut({ "The log of today": "not possible yet", "The release": "not possible yet" }),
    );
    world().size = 300;
    world().lies.set("/log/checkpoint", await world().log.note(290));
    await drop(page, await world().log.proof(0, 300), "again");
    await page.locator("#summary").getByText("again: EXERCISE, no real result. All 9 checks hold.").waitFor();
    expect(await line(page, "The log of today").innerText()).toContain("continues the one that is shown now (290)");
  });

  it("says in words before the lift that figures are not public yet", async (test) => {
    const { page } = await openPage(test, { refused: /\/(statements|log\/judgements|v1\/releases)/ });
    world().lifted = false;
    await drop(page, await world().log.proof(AT.tally, 200));
    expect(await found(page)).toEqual({
      summary:
        "entry.tlog-proof: EXERCISE, no real result. 6 of 9 checks hold. Not possible yet: the statement, the verdict, the release.",
      states: allBut(notYet),
    });
    expect(await line(page, "The statement").innerText()).toContain("The figures are not public yet.");
    expect(await page.locator("#checks").innerText()).not.toContain("812");
    // What holds no figures is open from the start.
    await drop(page, await world().log.proof(AT.polls, 200), "polls");
    await page.locator("#summary").getByText("polls: EXERCISE, no real result. 7 of 9 checks hold.").waitFor();
  });
});

describe("what is not possible", () => {
  it("is said where the browser computes no SHA-256", async (test) => {
    const { page, requests } = await browser.open(test);
    await page.goto(`http://plain.example:${world().port}/verify`);
    expect(await found(page)).toEqual({
      summary: "This browser: Nothing could be checked.",
      states: { "This browser": "not possible yet" },
    });
    await drop(page, await world().log.proof(AT.tally, 200));
    await page.locator("#summary").getByText("entry.tlog-proof: Nothing could be checked.").waitFor();
    expect(await line(page, "This browser").innerText()).toContain("crypto.subtle");
    expect(requests.filter((url) => url.includes("/v1/"))).toEqual([]);
  });

  it("is said of what is no hash and no proof file", async (test) => {
    const { page } = await openPage(test);
    const summary = page.locator("#summary");
    await page.getByLabel(/SHA-256/).fill("12ab");
    await page.keyboard.press("Enter");
    await summary.getByText("A SHA-256 has 64 hexadecimal digits").waitFor();
    await drop(page, Buffer.alloc(200_000), "film.mp4");
    await summary.getByText("film.mp4 is too large to be a proof.").waitFor();
    await drop(page, Uint8Array.of(0xff, 0xfe), "noise");
    await summary.getByText("noise: EXERCISE, no real result. Does not hold: the proof.").waitFor();
    await page.dispatchEvent("#drop", "drop", {});
    await summary.getByText("That was no file.").waitFor();
  });

  it("is said when the server is away", async (test) => {
    const { page } = await openPage(test, { refused: /./ });
    await page.route(/./, (route) => route.abort());
    await drop(page, await world().log.proof(AT.tally, 200));
    const { summary, states } = await found(page);
    expect(summary).toMatch(/^entry\.tlog-proof: 1 of 9 checks hold\. Not possible yet: the definition,/);
    expect(new Set(Object.values(states))).toEqual(new Set(["holds", "not possible yet"]));
    expect(await line(page, "The definition").innerText()).toContain("The server did not answer.");
  });
});

const MISTAKES = `(async () => {
  setTimeout(() => {
    throw new Error("a mistake");
  });
  console.error("a complaint");
  const image = document.createElement("img");
  image.src = "http://elsewhere.example/";
  document.body.append(image);
  await fetch("/v1/nothing");
  await fetch("/v1/expected");
})()`;

describe("the page", () => {
  it("serves its modules as they lie, and tweetnacl as its authors publish it", async () => {
    const given = async (path: string) => Buffer.from(await (await fetch(`${world().url}${path}`)).arrayBuffer());
    const own = (name: string) => fileURLToPath(new URL(`../services/release/verify/${name}`, import.meta.url));
    const wanted = new Set(["verify.js"]);
    for (const name of wanted) {
      const source = await given(`/verify/${name}`);
      if (name === "nacl.js") {
        expect(source).toEqual(await readFile(createRequire(import.meta.url).resolve("tweetnacl/nacl-fast.min.js")));
        continue;
      }
      expect(source).toEqual(await readFile(own(name)));
      for (const [, imported] of source.toString("utf8").matchAll(/(?:from|import) "\.\/([^"]+)"/g))
        wanted.add(imported!);
    }
    expect(wanted.size).toBe(15);
  });

  it("lets nothing in but its own origin, and no markup by script", async () => {
    const { headers } = await fetch(`${world().url}/verify`);
    const policy = headers.get("content-security-policy") ?? "";
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ])
      expect(policy.split("; ")).toContain(rule);
    expect(policy).not.toContain("unsafe");
  });

  it.for(["light", "dark"] as const)("fits a phone, in %s colours", async (colorScheme, test) => {
    const { page } = await openPage(test, { colorScheme, viewport: { width: 360, height: 700 } });
    await drop(page, await world().log.proof(AT.markup, 200));
    expect((await found(page)).states).toEqual(allBut({}));
    await page.locator("summary").first().click();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(paper).toBe(colorScheme === "dark" ? "rgb(13, 17, 23)" : "rgb(255, 255, 255)");
  });

  it("would fail these tests for an error, a breach of its policy, or a refusal that was not expected", async (test) => {
    const { page } = await browser.open(test);
    // A page that the guard does not look at, so that what it says can be read.
    const other = await page.context().newPage();
    const problems = await problemsOf(other, /expected/);
    await other.goto(`${world().url}/verify`);
    await other.evaluate(MISTAKES);
    await expect.poll(() => problems.join("\n")).toMatch(/nothing/);
    const told = problems.join("\n");
    for (const problem of ["a mistake", "a complaint", "img-src", "/v1/nothing"]) expect(told).toContain(problem);
    expect(told).not.toContain("/v1/expected");
  });
});
