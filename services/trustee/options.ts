import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { KEY_ID } from "../../shared/definition/schema.ts";
import { verifyKeyOf } from "../../shared/statement/authentic.ts";
import type { DefinitionFiles } from "./definition.ts";
import { Refusal } from "./refusal.ts";
import type { TrusteeSaying } from "./sayings.ts";
import { MAX_SEQUENCE } from "./sequence.ts";

/** Where a decision goes, and who may have signed the receipt besides the definition's ledger. */
export interface DoorOptions {
  url: URL;
  /** The ledger's key after a new origin: id and public half, base64url. */
  ledgerKey: { kid: string; publicKey: string } | undefined;
}

/** A share's holder, by key id, and its file. */
export interface ShareFile {
  trustee: string;
  file: string;
}

export type Command =
  | {
      does: "decide";
      /** What is decided, or the file of an office's request to enrol its key, which says it. */
      saying: TrusteeSaying | { request: string };
      keyFile: string;
      files: DefinitionFiles;
      sequence: number | undefined;
      out: string | undefined;
      /** Only for what one trustee may decide alone: it is submitted at once. */
      door: DoorOptions | undefined;
    }
  | { does: "cosign"; file: string; keyFile: string; files: DefinitionFiles; out: string | undefined; yes: boolean }
  | { does: "show"; file: string; files: DefinitionFiles }
  | { does: "submit"; file: string; files: DefinitionFiles; door: DoorOptions }
  | { does: "key new"; kid: string; out: string }
  | { does: "recovery new"; to: ShareFile[] }
  | { does: "recovery split"; keyFile: string; to: ShareFile[] }
  | { does: "recovery check"; shares: string[]; files: DefinitionFiles | undefined }
  | { does: "recovery join"; shares: string[]; files: DefinitionFiles; out: string };

const OPTIONS = {
  reason: { type: "string" },
  entry: { type: "string" },
  "new-key": { type: "string" },
  size: { type: "string" },
  root: { type: "string" },
  within: { type: "string" },
  order: { type: "string" },
  since: { type: "string" },
  "public-key": { type: "string" },
  request: { type: "string" },
  state: { type: "string" },
  official: { type: "string" },
  backup: { type: "boolean" },
  key: { type: "string" },
  definition: { type: "string" },
  signatures: { type: "string" },
  authority: { type: "string" },
  sequence: { type: "string" },
  out: { type: "string" },
  url: { type: "string" },
  "ledger-key": { type: "string" },
  to: { type: "string", multiple: true },
  yes: { type: "boolean" },
  help: { type: "boolean" },
} as const;
type OptionName = Exclude<keyof typeof OPTIONS, "help">;

const ELECTION = ["definition", "signatures", "authority"] as const;
const SIGNING = ["key", "sequence", "out", ...ELECTION] as const;
const DOOR = ["url", "ledger-key"] as const;

/** What each command takes: how many operands at least and at most, and which options. */
const GRAMMAR: Record<string, { operands: [number, number]; takes: readonly OptionName[] }> = {
  hold: { operands: [1, 1], takes: ["reason", ...SIGNING, ...DOOR] },
  resume: { operands: [1, 1], takes: ["reason", ...SIGNING] },
  override: { operands: [1, 1], takes: ["reason", ...SIGNING] },
  void: { operands: [1, 1], takes: ["entry", "reason", ...SIGNING] },
  suspend: { operands: [1, 1], takes: ["reason", ...SIGNING] },
  recover: { operands: [0, 0], takes: ["reason", ...SIGNING] },
  origin: { operands: [1, 1], takes: ["new-key", "size", "root", "reason", ...SIGNING] },
  draw: { operands: [1, 1], takes: ["within", "order", "reason", ...SIGNING] },
  "key revoke": { operands: [1, 1], takes: ["since", "reason", ...SIGNING] },
  "key enrol": { operands: [0, 1], takes: ["request", "public-key", "state", "official", "backup", ...SIGNING] },
  "key new": { operands: [1, 1], takes: ["out"] },
  cosign: { operands: [1, 1], takes: ["key", "out", "yes", ...ELECTION] },
  show: { operands: [1, 1], takes: ELECTION },
  submit: { operands: [1, 1], takes: [...DOOR, ...ELECTION] },
  "recovery new": { operands: [0, 0], takes: ["to"] },
  "recovery split": { operands: [0, 0], takes: ["key", "to"] },
  "recovery check": { operands: [1, 3], takes: ELECTION },
  "recovery join": { operands: [2, 3], takes: ["out", ...ELECTION] },
};

/** Variables that stand in for options, so that a command of the night is short. */
const VARIABLES: Partial<Record<OptionName, string>> = {
  key: "TRUSTEE_KEY_FILE",
  definition: "SCRUTIN_DEFINITION",
  signatures: "SCRUTIN_DEFINITION_SIGNATURES",
  authority: "SCRUTIN_AUTHORITY",
  url: "SCRUTIN_INGEST_URL",
};

const wrong = (sentence: string) => new Refusal("command.wrong", sentence);

/** Reads the command line; undefined when it asks for help. Throws a Refusal for what it cannot mean. */
export function readCommand(args: readonly string[], env: NodeJS.ProcessEnv): Command | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [first = "", second = ""] = positionals;
  const name = first === "key" || first === "recovery" ? `${first} ${second}` : first;
  const grammar = Object.hasOwn(GRAMMAR, name) ? GRAMMAR[name] : undefined;
  if (grammar === undefined) throw wrong(first === "" ? "Name a command." : `There is no command "${name.trim()}".`);
  const operands = positionals.slice(name.split(" ").length);
  const [least, most] = grammar.operands;
  if (operands.length < least || operands.length > most)
    throw wrong(`${name} takes ${countOf(least, most)}, not ${operands.length}.`);
  for (const option of Object.keys(values))
    if (!grammar.takes.includes(option as OptionName)) throw wrong(`${name} takes no --${option}.`);
  return commandOf(name, operands, new Given(name, values, env));
}

const countOf = (least: number, most: number) =>
  `${least === most ? "" : `${least} to `}${most} ${most === 1 ? "operand" : "operands"}`;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw wrong((error as Error).message);
  }
}

type Values = ReturnType<typeof parse>["values"];

/** The options of one command line, each as what it must be. */
class Given {
  private readonly command: string;
  private readonly values: Values;
  private readonly env: NodeJS.ProcessEnv;
  constructor(command: string, values: Values, env: NodeJS.ProcessEnv) {
    this.command = command;
    this.values = values;
    this.env = env;
  }

  optional(name: Exclude<OptionName, "to" | "yes" | "backup">): string | undefined {
    const variable = VARIABLES[name];
    return this.values[name] ?? ((variable === undefined ? undefined : this.env[variable]) || undefined);
  }

  text(name: Exclude<OptionName, "to" | "yes" | "backup">): string {
    const value = this.optional(name);
    const variable = VARIABLES[name];
    if (value === undefined || value === "")
      throw wrong(`${this.command} needs --${name}${variable === undefined ? "" : `, or ${variable}`}.`);
    return value;
  }

  flag(name: "yes" | "backup"): boolean {
    return this.values[name] ?? false;
  }

  count(name: "entry" | "size" | "sequence"): number {
    const number = Number(this.text(name));
    if (!Number.isSafeInteger(number) || number < 1 || number > MAX_SEQUENCE)
      throw wrong(`--${name} takes a whole number from 1, not "${this.text(name)}".`);
    return number;
  }

  /** UTC to the second or finer, as ISO 8601 with a Z: a local time would be another instant elsewhere. */
  instant(name: "since"): string {
    const text = this.text(name);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z$/.test(text) || Number.isNaN(Date.parse(text)))
      throw wrong(`--${name} takes an instant in UTC such as 2029-06-10T21:30:00Z, not "${text}".`);
    return new Date(text).toISOString();
  }

  publicKey(name: string, text: string): string {
    if (verifyKeyOf(text) === undefined)
      throw wrong(`--${name}: "${text}" is no Ed25519 public key of 32 bytes in base64url.`);
    return text;
  }

  /** ID=PUBLIC */
  namedKey(name: "new-key" | "ledger-key"): { id: string; publicKey: string } {
    const [, id = "", publicKey = ""] = /^([^=]+)=(.*)$/.exec(this.text(name)) ?? [];
    if (!KEY_ID.test(id)) throw wrong(`--${name} takes ID=PUBLICKEY, not "${this.text(name)}".`);
    return { id, publicKey: this.publicKey(name, publicKey) };
  }

  files(): DefinitionFiles {
    const definition = this.text("definition");
    const besides = (name: string) => join(dirname(definition), name);
    return {
      definition,
      signatures:
        this.optional("signatures") ?? besides(basename(definition).replace(/(\.json)?$/, ".signatures.json")),
      authority: this.optional("authority") ?? besides("authority.json"),
    };
  }

  door(): DoorOptions {
    const text = this.text("url");
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !["http:", "https:"].includes(url.protocol))
      throw wrong(`--url takes the address of ingest, such as https://push.example.eu, not "${text}".`);
    const after = this.optional("ledger-key") === undefined ? undefined : this.namedKey("ledger-key");
    return { url, ledgerKey: after && { kid: after.id, publicKey: after.publicKey } };
  }

  shares(): ShareFile[] {
    const to = (this.values.to ?? []).map((text) => {
      const [, trustee = "", file = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (!KEY_ID.test(trustee) || file === "") throw wrong(`--to takes KEYID=FILE, not "${text}".`);
      return { trustee, file };
    });
    if (to.length !== 3) throw wrong(`${this.command} needs three --to KEYID=FILE, one for each trustee.`);
    return to;
  }
}

function commandOf(name: string, operands: string[], given: Given): Command {
  const [operand = ""] = operands;
  switch (name) {
    case "cosign": {
      const [keyFile, out, yes] = [given.text("key"), given.optional("out"), given.flag("yes")];
      return { does: name, file: operand, keyFile, files: given.files(), out, yes };
    }
    case "show":
      return { does: name, file: operand, files: given.files() };
    case "submit":
      return { does: name, file: operand, files: given.files(), door: given.door() };
    case "key new":
      if (!KEY_ID.test(operand)) throw wrong(`"${operand}" is no key id: letters, digits, dots, dashes, at most 64.`);
      return { does: name, kid: operand, out: given.text("out") };
    case "recovery new":
      return { does: name, to: given.shares() };
    case "recovery split":
      return { does: name, keyFile: given.text("key"), to: given.shares() };
    case "recovery check":
      return {
        does: name,
        shares: operands,
        files: given.optional("definition") === undefined ? undefined : given.files(),
      };
    case "recovery join":
      return { does: name, shares: operands, files: given.files(), out: given.text("out") };
  }
  const sequence = given.optional("sequence") === undefined ? undefined : given.count("sequence");
  return {
    does: "decide",
    saying: sayingOf(name, operand, given),
    keyFile: given.text("key"),
    files: given.files(),
    sequence,
    out: given.optional("out"),
    door: name === "hold" ? given.door() : undefined,
  };
}

function sayingOf(name: string, operand: string, given: Given): TrusteeSaying | { request: string } {
  const decision = { type: "decision" } as const;
  switch (name) {
    case "hold":
    case "resume":
    case "override":
      return { ...decision, decision: name, about: operand, reason: given.text("reason") };
    case "void":
      return { ...decision, decision: name, about: operand, entry: given.count("entry"), reason: given.text("reason") };
    case "suspend":
      return { ...decision, decision: name, about: "EU", trustee: operand, reason: given.text("reason") };
    case "recover":
      return { ...decision, decision: name, about: "EU", reason: given.text("reason") };
    case "origin": {
      const key = given.namedKey("new-key");
      const after = { size: given.count("size"), root: given.text("root") };
      return { ...decision, decision: name, about: "EU", origin: operand, key, ...after, reason: given.text("reason") };
    }
    case "draw": {
      const order = given.text("order").split(",");
      const where = { constituency: operand, within: given.text("within") };
      return { ...decision, decision: name, ...where, order, reason: given.text("reason") };
    }
    case "key revoke": {
      const since = given.instant("since");
      return { type: "key", change: "revoke", revokes: operand, since, reason: given.text("reason") };
    }
    case "key enrol": {
      const request = given.optional("request");
      if ((request === undefined) === (operand === ""))
        throw wrong("key enrol takes --request FILE, or a key id with --public-key, --state and --official.");
      if (request !== undefined) return { request };
      const publicKey = given.publicKey("public-key", given.text("public-key"));
      const who = { state: given.text("state"), official: given.text("official") };
      const backup = given.flag("backup") ? ({ backup: true } as const) : {};
      return { type: "key", change: "enrol", key: { id: operand, publicKey, ...who, ...backup } };
    }
  }
  throw new TypeError(`no saying for the command ${name}`);
}
