import { describe, expect, it } from "vitest";
import { HELP } from "./help.ts";
import { readCommand } from "./options.ts";
import { Refusal } from "./refusal.ts";

/** What can be said on the command line, and what cannot. */

const env = {
  TRUSTEE_KEY_FILE: "k.json",
  SCRUTIN_DEFINITION: "/e/definition.json",
  SCRUTIN_INGEST_URL: "https://push.example.eu",
};
const read = (line: string, more: NodeJS.ProcessEnv = env) => readCommand(line === "" ? [] : line.split(" "), more);
const refusal = (line: string, more?: NodeJS.ProcessEnv): string => {
  try {
    read(line, more);
  } catch (error) {
    if (error instanceof Refusal) return `${error.exit} ${error.text}`;
    throw error;
  }
  return "understood";
};

const KEY = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";
const REASON = "--reason why";

describe("the command line", () => {
  it("says what is decided", () => {
    const saying = (line: string) => {
      const command = read(line);
      return command?.does === "decide" ? command.saying : undefined;
    };
    const decision = { type: "decision", reason: "why" };
    expect(saying(`hold EU ${REASON}`)).toEqual({ ...decision, decision: "hold", about: "EU" });
    expect(saying(`resume AT ${REASON}`)).toEqual({ ...decision, decision: "resume", about: "AT" });
    expect(saying(`override AT ${REASON}`)).toEqual({ ...decision, decision: "override", about: "AT" });
    expect(saying(`void AT --entry 12 ${REASON}`)).toEqual({ ...decision, decision: "void", about: "AT", entry: 12 });
    expect(saying(`suspend t-3 ${REASON}`)).toEqual({ ...decision, decision: "suspend", about: "EU", trustee: "t-3" });
    expect(saying(`recover ${REASON}`)).toEqual({ ...decision, decision: "recover", about: "EU" });
    expect(saying(`origin a.eu/2 --new-key l-2=${KEY} --size 9 --root AA== ${REASON}`)).toEqual({
      ...decision,
      decision: "origin",
      about: "EU",
      origin: "a.eu/2",
      key: { id: "l-2", publicKey: KEY },
      size: 9,
      root: "AA==",
    });
    expect(saying(`draw AT --within seats --order A,B ${REASON}`)).toEqual({
      ...decision,
      decision: "draw",
      constituency: "AT",
      within: "seats",
      order: ["A", "B"],
    });
    expect(saying(`key revoke AT-1 --since 2024-06-09T21:30Z ${REASON}`)).toEqual({
      type: "key",
      change: "revoke",
      revokes: "AT-1",
      since: "2024-06-09T21:30:00.000Z",
      reason: "why",
    });
    expect(saying(`key enrol AT-9 --public-key ${KEY} --state AT --official Eva --backup`)).toEqual({
      type: "key",
      change: "enrol",
      key: { id: "AT-9", publicKey: KEY, state: "AT", official: "Eva", backup: true },
    });
  });

  it("finds signatures and authority beside the definition, and takes options before variables", () => {
    const files = {
      definition: "/e/definition.json",
      signatures: "/e/definition.signatures.json",
      authority: "/e/authority.json",
    };
    expect(read("show f.json")).toEqual({ does: "show", file: "f.json", files });
    expect(read("show f.json --definition d.json --authority a.json", {})).toEqual({
      does: "show",
      file: "f.json",
      files: { definition: "d.json", signatures: "d.signatures.json", authority: "a.json" },
    });
    expect(read("cosign f.json --key other.json --yes")).toMatchObject({ keyFile: "other.json", yes: true });
    // Only what one trustee decides alone is sent by the command that signs it.
    expect(read(`hold EU ${REASON}`)).toMatchObject({ door: { url: new URL("https://push.example.eu") } });
    expect(read(`resume EU ${REASON}`)).toMatchObject({ door: undefined });
  });

  it.each([
    ["", "Name a command."],
    ["release", 'There is no command "release".'],
    ["key", 'There is no command "key".'],
    ["hold", "hold takes 1 operand, not 0."],
    [`hold EU AT ${REASON}`, "hold takes 1 operand, not 2."],
    ["hold EU", "hold needs --reason."],
    [`resume EU ${REASON} --url http://x`, "resume takes no --url."],
    [`hold EU ${REASON} --force`, "Unknown option '--force'"],
    [`hold EU ${REASON} --url ftp://x`, "--url takes the address of ingest"],
    [`hold EU ${REASON} --ledger-key x`, "--ledger-key takes ID=PUBLICKEY"],
    [`void AT ${REASON}`, "void needs --entry."],
    [`void AT --entry 0 ${REASON}`, "--entry takes a whole number from 1"],
    [`void AT --entry 1.5 ${REASON}`, "--entry takes a whole number from 1"],
    [`resume EU --sequence 1099511627777 ${REASON}`, "--sequence takes a whole number from 1"],
    [`key revoke AT-1 --since 2024-06-09T21:30:00 ${REASON}`, "--since takes an instant in UTC"],
    [`key revoke AT-1 --since 2024-06-09T21:30:00+02:00 ${REASON}`, "--since takes an instant in UTC"],
    ["key enrol AT-9 --public-key AAAA --state AT --official Eva", "is no Ed25519 public key"],
    ["key new a/b --out f", '"a/b" is no key id'],
    ["key new trustee-1", "key new needs --out."],
    ["recovery new --to a=b --to c=d", "recovery new needs three --to KEYID=FILE"],
    ["recovery new --to a=b --to c=d --to e", "--to takes KEYID=FILE"],
    ["recovery join one --out f", "recovery join takes 2 to 3 operands, not 1."],
  ])("refuses %j with a sentence", (line, sentence) => {
    expect(refusal(line)).toContain("2 command.wrong: ");
    expect(refusal(line)).toContain(sentence);
  });

  it("names the variable that would do instead of an option", () => {
    expect(refusal(`hold EU ${REASON}`, {})).toContain("hold needs --key, or TRUSTEE_KEY_FILE.");
    expect(refusal("show f", { SCRUTIN_DEFINITION: "" })).toContain("show needs --definition, or SCRUTIN_DEFINITION.");
  });

  it("asks for help before anything else, and the help names every option and fits a wide terminal", () => {
    expect(read("hold --help")).toBeUndefined();
    for (const option of [
      "reason",
      "entry",
      "new-key",
      "size",
      "root",
      "within",
      "order",
      "since",
      "public-key",
      "state",
    ])
      expect(HELP).toContain(`--${option} `);
    for (const option of [
      "official",
      "backup",
      "key",
      "definition",
      "signatures",
      "authority",
      "sequence",
      "out",
      "url",
    ])
      expect(HELP).toContain(`--${option}`);
    for (const option of ["ledger-key", "to", "yes", "help"]) expect(HELP).toContain(`--${option}`);
    expect(HELP.split("\n").filter((line) => line.length > 150)).toEqual([]);
  });
});
