import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSampleKey, sampleCommon, sampleDefinition, signSample } from "../../shared/definition/sample.ts";
import { authenticate, refusalOf, signersOf, tooFewSigned } from "../../shared/statement/authentic.ts";
import { openEnvelope } from "../../shared/statement/jws.ts";
import { checkSigner, readDecisionFile } from "./decision-file.ts";
import { type Desk, layDesk, runHere } from "./fixture.ts";
import { readOwnKey } from "./key.ts";

/** Decisions from hand to hand: what is signed, what is shown, and what nobody can be made to sign. */

const sample = sampleDefinition();
let desk: Desk;
let n = 0;
beforeAll(async () => {
  desk = await layDesk(sample);
});
afterAll(() => desk.close());

const fresh = () => desk.path(`decision-${++n}.json`);
/** A decision with its first signature, in a file of its own. */
async function begun(kid: string, ...args: string[]): Promise<string> {
  const out = fresh();
  const { exit, text } = await desk.as(kid, ...args, "--out", out);
  expect(exit, text).toBe(0);
  return out;
}
const REASON = ["--reason", "as agreed by telephone"];
const OTHER_KEY = newSampleKey(sample, "AT-9").jwk.x;

const EVERY: [string, string[], string][] = [
  ["resume", ["resume", "EU", ...REASON], "The hold on the Union ends."],
  ["override", ["override", "AT", ...REASON], "By the definition its last polls close at 2024-06-09T21:00:00.000Z."],
  ["void", ["void", "LU", "--entry", "17", ...REASON], "entry 17 of the log gave to Luxembourg (LU) counts no more"],
  ["recover", ["recover", ...REASON], "The vault's key is lost."],
  [
    "origin",
    ["origin", "a.example/2", "--new-key", `ledger-2=${OTHER_KEY}`, "--size", "9", "--root", "AA==", ...REASON],
    'goes on as a.example/2 under the ledger\'s new key ledger-2, behind 9 entries.\n  Their root: "AA=="\n',
  ],
  [
    "draw",
    ["draw", "AT", "--within", "seats", "--order", "AT02,AT01", ...REASON],
    'in this order:\n  1. "AT02"\n  2. "AT01"\n',
  ],
  [
    "key revoke",
    ["key", "revoke", "AT-1", "--since", "2024-06-09T19:00:00Z", ...REASON],
    "received after 2024-06-09T19:00:00.000Z, figures, seats and declarations count for nothing",
  ],
];

describe("a decision of two trustees", () => {
  it.each(EVERY)("%s is written, explained, cosigned, and then what the ledger takes", async (name, args, says) => {
    const file = await begun("trustee-1", ...args);
    const shown = await desk.as("trustee-1", "show", file);
    expect(shown).toMatchObject({ exit: 0 });
    for (const line of ["EXERCISE  Sample", sample.hash, says, "Trustee 1 (trustee-1); the signature holds"])
      expect(shown.text).toContain(line);
    expect(shown.text).toContain("Missing   one more trustee");
    const out = fresh();
    const cosigned = await desk.as("trustee-2", "cosign", file, "--out", out, "--yes");
    expect(cosigned).toMatchObject({ exit: 0 });
    const next = {
      origin: "it is given to the ledger at its start, as SCRUTIN_ORIGIN_DECISION",
      recover: "it is given to the ledger at its start, as SCRUTIN_RECOVERY_DECISION;",
    }[name];
    expect(cosigned.text).toContain(`Complete  ${next ?? "it can be submitted"}`);
    const opened = openEnvelope(await readFile(out));
    if (opened.kind === "refused") throw new Error(opened.code);
    const read = await authenticate(opened.envelope, signersOf(sample.definition));
    if (read.kind === "refused") throw new Error(read.code);
    const keys = read.signers.map(({ key }) => key);
    expect(keys.map(({ id }) => id)).toEqual(["trustee-1", "trustee-2"]);
    expect(refusalOf(read.statement, keys)).toBeUndefined();
    expect(tooFewSigned(read.statement, keys, 1)).toBe(false);
  });

  it("suspends a trustee by two others, and nobody has a say in their own suspension", async () => {
    const file = await begun("trustee-2", "suspend", "trustee-2", ...REASON).catch((error: Error) => error);
    expect(String(file)).toContain("signer.own-suspension");
    const other = await begun("trustee-2", "suspend", "trustee-1", ...REASON);
    expect(await desk.as("trustee-1", "cosign", other, "--yes")).toMatchObject({
      exit: 1,
      code: "signer.own-suspension",
    });
    expect((await desk.as("trustee-2", "show", other)).text).toContain("Trustee 1 (trustee-1) signs no more");
  });

  it("enrols a key that signs for itself behind two trustees", async () => {
    const key = newSampleKey(sample, "LU-9");
    await desk.addKey(key);
    const who = ["--public-key", key.jwk.x, "--state", "LU", "--official", "Eva"];
    const one = await begun("trustee-1", "key", "enrol", "LU-9", ...who);
    const [two, three] = [fresh(), fresh()];
    expect((await desk.as("trustee-2", "cosign", one, "--out", two, "--yes")).text).toContain(
      "Missing   the new key LU-9 itself",
    );
    expect((await desk.as("LU-9", "cosign", two, "--out", three, "--yes")).text).toContain(
      "Complete  it can be submitted",
    );
    // Another key under its name is refused before it signs.
    await desk.addKey({
      ...newSampleKey(sample, "LU-8"),
      id: "LU-9",
      jwk: { ...(sample.keys.get("LU-8")?.jwk ?? key.jwk), kid: "LU-9" },
    });
    expect(await desk.as("LU-9", "cosign", two, "--yes")).toMatchObject({ exit: 2, code: "key.not-of-definition" });
  });
});

describe("whoever must not sign", () => {
  it("the same key, a third person, an office", async () => {
    const file = await begun("trustee-1", "resume", "AT", ...REASON);
    expect(await desk.as("trustee-1", "cosign", file, "--yes")).toMatchObject({ exit: 1, code: "signer.already" });
    await desk.addKey(sample.keys.get("AT-1")!);
    expect(await desk.as("AT-1", "cosign", file, "--yes")).toMatchObject({ exit: 2, code: "key.not-of-definition" });
    const both = fresh();
    await desk.as("trustee-2", "cosign", file, "--out", both, "--yes");
    expect(await desk.as("trustee-3", "cosign", both, "--yes")).toMatchObject({ exit: 1, code: "signer.enough" });
  });

  it("another key of the same person, should a definition ever give somebody two", async () => {
    const keys = sample.definition.keys.map((key) => (key.role === "trustee" ? { ...key, person: "One" } : key));
    const election = { definition: { ...sample.definition, keys }, hash: sample.hash };
    const { decision } = await readDecisionFile(await begun("trustee-1", "resume", "AT", ...REASON), election);
    const own = await readOwnKey(desk.keyFile("trustee-2"));
    const signers = keys.filter(({ id }) => id === "trustee-1");
    expect(() => checkSigner(election, decision, signers, own)).toThrow("One has signed this decision already");
  });

  it("nobody signs a file whose bytes were changed, nor sees what it says", async () => {
    const good = await begun("trustee-1", "resume", "EU", ...REASON);
    const jws = JSON.parse(await readFile(good, "utf8")) as { payload: string };
    const payload = Buffer.from(jws.payload, "base64url").toString("utf8").replace('"about":"EU"', '"about":"AT"');
    const changed = fresh();
    await writeFile(changed, JSON.stringify({ ...jws, payload: Buffer.from(payload).toString("base64url") }));
    for (const command of [
      ["show", changed],
      ["cosign", changed, "--yes"],
      ["submit", changed, "--url", "http://127.0.0.1:9"],
    ]) {
      const { exit, code, text } = await desk.as("trustee-2", ...command);
      expect([exit, code]).toEqual([1, "signature.invalid"]);
      expect(text).not.toContain("hold on");
    }
    await writeFile(changed, "what is this");
    expect(await desk.as("trustee-2", "show", changed)).toMatchObject({ exit: 1, code: "jws.malformed" });
  });

  it("nobody signs for another definition, nor what trustees do not say", async () => {
    const elsewhere = sampleDefinition({ closesAt: Date.parse("2024-06-09T20:00:00Z") });
    const other = await layDesk(elsewhere);
    const file = await begun("trustee-1", "resume", "EU", ...REASON);
    expect(await other.as("trustee-2", "cosign", file, "--yes")).toMatchObject({
      exit: 1,
      code: "decision.other-definition",
    });
    await other.close();
    const polls = fresh();
    await writeFile(
      polls,
      signSample(sample, { type: "polls", ...sampleCommon(sample, "AT", 1), polls: "closed" }, "AT-1"),
    );
    expect(await desk.as("trustee-2", "cosign", polls, "--yes")).toMatchObject({
      exit: 1,
      code: "decision.not-trustees",
    });
    const strangers = sampleDefinition({ seed: "another authority" });
    await writeFile(desk.path("strangers.json"), JSON.stringify(strangers.anchors));
    const refused = await desk.as("trustee-1", "show", file, "--authority", desk.path("strangers.json"));
    expect(refused).toMatchObject({ exit: 2, code: "definition.refused" });
  });

  it("nobody signs without a typed yes", async () => {
    const file = await begun("trustee-1", "resume", "EU", ...REASON);
    const env = desk.env("trustee-2");
    const out = fresh();
    for (const answer of [undefined, "", "y", "no", "YES"]) {
      const { exit, code, text } = await runHere(["cosign", file, "--out", out], env, { answer });
      expect([exit, code], String(answer)).toEqual([1, "confirmation.missing"]);
      expect(text).toContain("The hold on the Union ends.");
    }
    expect(await runHere(["cosign", file, "--out", out], env, { answer: "yes" })).toMatchObject({ exit: 0 });
  });
});

describe("somebody else's words", () => {
  it("cannot move the cursor, nor read otherwise than they are", async () => {
    const file = await begun("trustee-1", "override", "AT", "--reason", "fine\u001b[2K\r\nSigned \u202eyes");
    const { text } = await desk.as("trustee-2", "show", file);
    expect(text).toContain('Reason    "fine\\u{1b}[2K\\u{d}\\u{a}Signed \\u{202e}yes"\n');
  });

  it("cannot fill up a line so that the next one looks like one of ours", async () => {
    const key = newSampleKey(sample, "LU-7");
    const what = ["key", "enrol", "LU-7", "--public-key", key.jwk.x, "--state", "LU"];
    for (const fill of [" ", "\u3164", "\u2800", "-", "x "]) {
      const official = `Eva${fill.repeat(80).slice(0, 100)}  Its public half: ${OTHER_KEY}.`;
      const { text } = await desk.as("trustee-2", "show", await begun("trustee-1", ...what, "--official", official));
      const rows = text.split("\n").flatMap((line) => line.match(/.{1,80}/gu) ?? []);
      expect(rows.filter((row) => /^ {0,7}Its public half/.test(row))).toEqual([
        expect.stringContaining(`  Its public half: ${key.jwk.x}.`),
      ]);
      expect(
        rows.filter((row) => row.includes(OTHER_KEY.slice(0, 8))).every((row) => row.startsWith("        | ")),
      ).toBe(true);
    }
  });
});

describe("a sequence number", () => {
  const numberOf = async (file: string) => {
    const { payload } = JSON.parse(await readFile(file, "utf8")) as { payload: string };
    return (JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as { sequence: number }).sequence;
  };

  it("counts up, and is never signed twice: by commands at once, after a crash, or when asked for", async () => {
    const alone = await layDesk(sample);
    const outs = Array.from({ length: 8 }, (_, i) => alone.path(`at-once-${i}.json`));
    const ran = await Promise.all(outs.map((out) => alone.as("trustee-2", "resume", "EU", ...REASON, "--out", out)));
    expect(ran.map(({ exit }) => exit)).toEqual(outs.map(() => 0));
    const numbers = await Promise.all(outs.map(numberOf));
    expect(numbers.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    // Claimed, and then the machine went down before anything was signed.
    await writeFile(`${alone.keyFile("trustee-2")}.sequence/${sample.hash}.9`, "", { mode: 0o600 });
    const next = alone.path("after-a-crash.json");
    await alone.as("trustee-2", "resume", "EU", ...REASON, "--out", next);
    expect(await numberOf(next)).toBe(10);
    const asked = (number: string, out: string) =>
      alone.as("trustee-2", "resume", "EU", ...REASON, "--sequence", number, "--out", alone.path(out));
    expect(await asked("10", "again.json")).toMatchObject({ exit: 2, code: "sequence.taken" });
    expect(await asked("40", "leap.json")).toMatchObject({ exit: 0 });
    expect(await numberOf(alone.path("leap.json"))).toBe(40);
    const claims = await readdir(`${alone.keyFile("trustee-2")}.sequence`);
    expect(claims).toHaveLength(11);
    await alone.close();
  });

  it("is the key's own, by whatever link its file is named", async () => {
    const alone = await layDesk(sample);
    await mkdir(alone.path("elsewhere"));
    await symlink(alone.keyFile("trustee-2"), alone.path("elsewhere/link.json"));
    await symlink(alone.path("elsewhere/link.json"), alone.keyFile("linked"));
    for (const [n, kid] of ["trustee-2", "linked", "elsewhere/link", "trustee-2"].entries()) {
      const out = alone.path(`linked-${n}.json`);
      expect(await alone.as(kid, "resume", "EU", ...REASON, "--out", out)).toMatchObject({ exit: 0 });
      expect(await numberOf(out)).toBe(n + 1);
    }
    expect(await readdir(`${alone.keyFile("trustee-2")}.sequence`)).toHaveLength(4);
    await alone.close();
  });

  it("is not used up by what cannot be said, written or signed", async () => {
    const alone = await layDesk(sample);
    await writeFile(alone.path("taken.json"), "mine");
    const out = ["--out", alone.path("taken.json")];
    const refused = [
      await alone.as("trustee-2", "resume", "XX", ...REASON),
      await alone.as("trustee-2", "override", "EU", ...REASON),
      await alone.as("trustee-2", "override", "AT", "--reason", "x".repeat(501)),
      await alone.as("trustee-2", "suspend", "trustee-9", ...REASON),
      await alone.as("trustee-2", "suspend", "trustee-2", ...REASON),
      await alone.as("trustee-2", "draw", "XX", "--within", "seats", "--order", "AT01,AT02", ...REASON),
      await alone.as("trustee-2", "resume", "EU", ...REASON, ...out),
    ];
    expect(refused.map(({ code }) => code)).toEqual([
      "decision.impossible",
      "decision.impossible",
      "command.wrong",
      "decision.impossible",
      "signer.own-suspension",
      "decision.impossible",
      "file.exists",
    ]);
    expect(await readFile(alone.path("taken.json"), "utf8")).toBe("mine");
    await expect(readdir(`${alone.keyFile("trustee-2")}.sequence`)).rejects.toThrow("ENOENT");
    await alone.close();
  });
});

describe("the key", () => {
  it("is its holder's alone, whole, and the one that the definition names", async () => {
    const resume = ["resume", "EU", ...REASON];
    await chmod(desk.keyFile("trustee-2"), 0o640);
    expect(await desk.as("trustee-2", ...resume)).toMatchObject({ exit: 2, code: "key.exposed" });
    await chmod(desk.keyFile("trustee-2"), 0o600);
    expect(await desk.as("nobody", ...resume)).toMatchObject({ exit: 2, code: "file.unreadable" });
    const mine = JSON.parse(await readFile(desk.keyFile("trustee-2"), "utf8")) as Record<string, string>;
    const wrong: [object, string][] = [
      [{ ...mine, kid: "trustee-1" }, "key.not-of-definition"],
      [{ ...mine, kid: "AT-1" }, "key.not-of-definition"],
      [{ ...mine, kid: "a b" }, "key.malformed"],
      [{ ...mine, x: OTHER_KEY }, "key.malformed"],
      [{ ...mine, d: "short" }, "key.malformed"],
      [sample.vault.jwk, "key.malformed"],
    ];
    for (const [jwk, code] of wrong) {
      await writeFile(desk.keyFile("wrong"), JSON.stringify(jwk), { mode: 0o600 });
      const ran = await desk.as("wrong", ...resume);
      expect([ran.exit, ran.code], ran.text).toEqual([2, code]);
      expect(ran.text).not.toContain(mine.d);
    }
  });

  it("is made for its owner only, once, and only its public half is printed", async () => {
    const out = desk.path("new.json");
    const { exit, text } = await runHere(["key", "new", "trustee-7", "--out", out]);
    const jwk = JSON.parse(await readFile(out, "utf8")) as { d: string; x: string; kid: string };
    expect([exit, jwk.kid]).toEqual([0, "trustee-7"]);
    expect(text).toContain(JSON.stringify({ id: "trustee-7", publicKey: jwk.x }));
    expect(text).not.toContain(jwk.d);
    expect(await runHere(["key", "new", "trustee-7", "--out", out])).toMatchObject({ exit: 2, code: "file.exists" });
    expect(JSON.parse(await readFile(out, "utf8"))).toEqual(jwk);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
  });
});
