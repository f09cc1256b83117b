import { parseArgs } from "node:util";
import { Refusal } from "./refusal.ts";

/** The command line: which commands there are, how many operands each takes, and which options. */

const OPTIONS = {
  office: { type: "string" },
  key: { type: "string" },
  "passphrase-file": { type: "string" },
  json: { type: "boolean" },
  yes: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  map: { type: "string" },
  status: { type: "string" },
  reason: { type: "string" },
  "only-good": { type: "boolean" },
  set: { type: "string", multiple: true },
  constituency: { type: "string" },
  until: { type: "string" },
  wait: { type: "string" },
  out: { type: "string" },
  state: { type: "string" },
  official: { type: "string" },
  id: { type: "string" },
  backup: { type: "boolean" },
  exercise: { type: "string" },
  definition: { type: "string" },
  signatures: { type: "string" },
  authority: { type: "string" },
  url: { type: "string" },
  release: { type: "string" },
  from: { type: "string" },
} as const;

export type OptionName = keyof typeof OPTIONS;
export type Values = ReturnType<typeof parse>["values"];

const SIGNING = ["key", "passphrase-file", "yes"] as const;
const FILE = ["map", "status", "reason"] as const;

/** Operands at least and at most, and the options beside --office, --json and --help. */
export const GRAMMAR = {
  keygen: { operands: [0, 0], takes: ["state", "official", "id", "backup", "from", "passphrase-file"] },
  enrol: {
    operands: [0, 1],
    takes: ["exercise", "definition", "signatures", "authority", "url", "release", "key", "passphrase-file"],
  },
  map: { operands: [1, 1], takes: ["out"] },
  check: { operands: [1, 1], takes: FILE },
  sign: { operands: [1, 1], takes: [...FILE, ...SIGNING, "only-good"] },
  cosign: { operands: [0, 1000], takes: [...SIGNING] },
  submit: { operands: [0, 0], takes: ["wait"] },
  status: { operands: [0, 0], takes: [] },
  correct: { operands: [1, 1], takes: ["set", "reason", ...SIGNING] },
  close: { operands: [0, 0], takes: ["constituency", ...SIGNING] },
  extend: { operands: [0, 0], takes: ["until", "reason", "constituency", ...SIGNING] },
  seats: { operands: [1, 1], takes: ["set", ...SIGNING] },
  declare: { operands: [1, 1], takes: [...SIGNING] },
  void: { operands: [1, 1], takes: ["reason", ...SIGNING] },
  prove: { operands: [0, 1], takes: ["key", "out"] },
} as const satisfies Record<string, { operands: readonly [number, number]; takes: readonly OptionName[] }>;

export type CommandName = keyof typeof GRAMMAR;

export interface Command {
  name: CommandName;
  operands: string[];
  values: Values;
}

const wrong = (sentence: string) => new Refusal("command.wrong", sentence);

/** Reads the command line; undefined when it asks for help without naming a command that there is. Throws a Refusal for what it cannot mean. */
export function readCommand(args: readonly string[]): Command | { help: CommandName | undefined } {
  const { values, positionals } = parse(args);
  const [name = "", ...operands] = positionals;
  if (!Object.hasOwn(GRAMMAR, name)) {
    if (values.help || name === "") return { help: undefined };
    throw wrong(`There is no command "${name}".`);
  }
  const command = name as CommandName;
  if (values.help) return { help: command };
  const [least, most] = GRAMMAR[command].operands;
  if (operands.length < least || operands.length > most)
    throw wrong(`${name} takes ${least === most ? least : `${least} to ${most}`} operands, not ${operands.length}.`);
  const takes: readonly string[] = ["office", "json", ...GRAMMAR[command].takes];
  for (const option of Object.keys(values)) if (!takes.includes(option)) throw wrong(`${name} takes no --${option}.`);
  return { name: command, operands, values };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw wrong((error as Error).message);
  }
}

/** The text of an option that the command cannot do without. */
export function need(
  command: Command,
  name: Exclude<OptionName, "set" | "json" | "yes" | "help" | "backup" | "only-good">,
): string {
  const value = command.values[name];
  if (value === undefined || value === "") throw wrong(`${command.name} needs --${name}.`);
  return value;
}

/** `--set a=1 --set b=2` as pairs of a name and a count. */
export function pairs(command: Command): [string, number][] {
  const given = command.values.set ?? [];
  if (given.length === 0) throw wrong(`${command.name} needs --set NAME=NUMBER, once for each figure.`);
  return given.map((text) => {
    const [, name, number] = /^([^=]+)=(\d{1,9})$/.exec(text) ?? [];
    if (name === undefined) throw wrong(`--set takes NAME=NUMBER, a whole number, not "${text}".`);
    return [name, Number(number)];
  });
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time such as 90s, 10m, 2h or 3d in milliseconds. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (unit === undefined) throw wrong(`A time is a number with s, m, h or d, such as 10m; not "${text}".`);
  return Number(number) * (UNITS[unit] as number);
}
