import { basename } from "node:path";
import { rowOf } from "../../shared/ledger/state.ts";
import { type Saying, signCompact } from "../../shared/platform/sign.ts";
import { quoted } from "../../shared/platform/terminal.ts";
import { generalEnvelope, openEnvelope } from "../../shared/statement/jws.ts";
import { MAX_REASON, type Statement, type Tally } from "../../shared/statement/types.ts";
import { confirm } from "./confirm.ts";
import { type Office, openOffice } from "./folder.ts";
import { ownKeys } from "./keys.ts";
import { type Command, need, pairs } from "./options.ts";
import { officeFolder, openSigner } from "./own.ts";
import { EXIT, Refusal } from "./refusal.ts";
import { signSaying } from "./signing.ts";
import { listSpool, readSpooled, settle, spoolKeys } from "./spool.ts";
import { signersOf } from "./submitting.ts";
import { readView, type View } from "./view.ts";
import type { World } from "./world.ts";

/** The commands that say one thing: close, extend, seats, declare, void, correct; and cosign. */

const wrong = (sentence: string) => new Refusal("command.wrong", sentence);

export async function runSay(command: Command, world: World): Promise<number> {
  const office = await openOffice(officeFolder(command, world));
  const view = await readView(office);
  const saying = sayingOf(command, office, view, world);
  await confirm(command, world, "Type yes to sign this: ");
  const signer = await openSigner(command, world, office);
  const { sequence, file } = await signSaying(saying, { office, view, signer, now: world.now });
  const { statement } = await readSpooled(file);
  const more = signersOf(office, statement) > 1;
  if (command.values.json) world.answer({ key: signer.kid, sequence, file, unfinished: more });
  else {
    world.say(`Signed by ${signer.kid} as number ${sequence}; it waits in the spool.`);
    world.say(more ? "Another official signs it next: npm run office -- cosign" : "Next: npm run office -- submit");
  }
  return EXIT.done;
}

/** What the command says; shows it, as the person who signs has to see it. */
function sayingOf(command: Command, office: Office, view: View, world: World): Saying {
  const { name, operands, values } = command;
  const [operand = ""] = operands;
  const where = values.constituency === undefined ? {} : { constituency: values.constituency };
  const about = values.constituency ?? office.state;
  const { mode, title } = office.election.definition;
  const tell = (line: string) => {
    if (!values.json) world.say(`${mode === "exercise" ? "EXERCISE: " : ""}${title}\n${line}`);
  };
  if (values.constituency !== undefined) knowConstituency(office, values.constituency);
  switch (name) {
    case "close":
      tell(`The polls of ${about} are closed.`);
      return { type: "polls", polls: "closed", ...where };
    case "extend": {
      const until = instant(need(command, "until"));
      tell(`The polls of ${about} close at ${until}. Reason: ${quoted(reasonOf(command))}`);
      return { type: "polls", polls: "extended", until, reason: reasonOf(command), ...where };
    }
    case "seats": {
      const { constituency } = knowConstituency(office, operand);
      const seats = Object.fromEntries(pairs(command));
      for (const list of Object.keys(seats))
        if (!office.register.stands(list, operand)) throw wrong(`The list ${list} does not stand in ${operand}.`);
      const sum = Object.values(seats).reduce((total, n) => total + n, 0);
      if (sum !== constituency.seats) throw wrong(`${operand} has ${constituency.seats} seats; these are ${sum}.`);
      tell(
        `Seats of ${operand}: ${Object.entries(seats)
          .map(([list, n]) => `${list} ${n}`)
          .join(", ")}.`,
      );
      return { type: "seats", constituency: operand, seats };
    }
    case "declare": {
      if (operand !== "final" && operand !== "official")
        throw wrong(`declare takes final or official, not "${operand}".`);
      const missing = office.register.expectedUnits(office.state) - (view.state.unitsIn.get(office.state) ?? 0);
      if (missing > 0)
        throw wrong(`${missing} units of ${office.state} are not reported: the ledger would quarantine it (F.405).`);
      tell(`The result of ${office.state} is ${operand}.`);
      return { type: "declaration", declares: operand };
    }
    case "void": {
      const voids = Number(operand);
      if (!Number.isSafeInteger(voids) || voids < 1) throw wrong(`void takes a sequence number, not "${operand}".`);
      tell(`Sequence number ${voids} will never be used. Reason: ${quoted(reasonOf(command))}`);
      return { type: "void", voids, reason: reasonOf(command) };
    }
    case "correct":
      return { type: "tally", tallies: [correction(command, view, world)] };
  }
  throw new TypeError(`no saying for the command ${name}`);
}

function knowConstituency(office: Office, id: string) {
  const place = office.register.constituency(id);
  if (place === undefined || place.state.id !== office.state)
    throw wrong(`${office.state} has no constituency "${id}".`);
  return place;
}

function reasonOf(command: Command): string {
  const reason = need(command, "reason");
  if (reason.length > MAX_REASON) throw wrong(`--reason takes at most ${MAX_REASON} characters.`);
  return reason;
}

/** UTC, as ISO 8601 with a Z: a local time would be another instant elsewhere. */
function instant(text: string): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z$/.test(text) || Number.isNaN(Date.parse(text)))
    throw wrong(`--until takes an instant in UTC such as 2029-06-10T22:00:00Z, not "${text}".`);
  return new Date(text).toISOString();
}

const HEADS = ["electors", "ballots", "blank", "invalid"] as const;

/** The next version of a unit, with these figures changed; shows the old one beside it. */
function correction(command: Command, { state }: View, world: World): Tally {
  const [unit = ""] = command.operands;
  const at = rowOf(state, unit);
  const version = at === undefined ? 0 : (at.table.versions[at.row] as number);
  if (at === undefined || version === 0) throw wrong(`No tally of "${unit}" was signed here: sign it from a file.`);
  const { table, row } = at;
  const start = row * table.width;
  const before: Record<string, number> = Object.fromEntries(
    HEADS.map((name, n) => [name, table.figures[start + n] as number]),
  );
  for (const [list, column] of table.columns) before[list] = table.figures[start + column] as number;
  const after = { ...before };
  for (const [name, figure] of pairs(command)) {
    if (!Object.hasOwn(before, name)) throw wrong(`"${name}" is neither a figure nor a list of ${unit}.`);
    after[name] = figure;
  }
  if (!command.values.json) {
    world.say(`${unit}, version ${version} and version ${version + 1}:`);
    for (const name of Object.keys(before)) {
      const line = `  ${name.padEnd(10)} ${String(before[name]).padStart(11)} ${String(after[name]).padStart(11)}`;
      world.say(before[name] === after[name] ? line : world.style.strong(`${line}  changed`));
    }
  }
  const { electors = 0, ballots = 0, blank = 0, invalid = 0, ...votes } = after;
  return {
    unit,
    version: version + 1,
    status: "final",
    electors,
    ballots,
    blank,
    invalid,
    votes,
    reason: reasonOf(command),
  };
}

/** Adds a second official's signature to what waits for one, or to these files. */
export async function runCosign(command: Command, world: World): Promise<number> {
  const office = await openOffice(officeFolder(command, world));
  const waiting: { key: string; sequence: number; file: string }[] = [];
  for (const key of await spoolKeys(office.folder)) {
    for (const { sequence, file, state } of await listSpool(office.folder, key)) {
      if (state !== "signed") continue;
      if (
        command.operands.length > 0 &&
        !command.operands.some((given) => given === String(sequence) || basename(given) === basename(file))
      )
        continue;
      const { statement, signers } = await readSpooled(file);
      if (signers.length < signersOf(office, statement)) waiting.push({ key, sequence, file });
    }
  }
  if (waiting.length === 0) {
    if (command.values.json) world.answer({ cosigned: [] });
    else world.say("Nothing waits for another signature.");
    return EXIT.done;
  }
  for (const { key, sequence, file } of waiting) {
    const { statement } = await readSpooled(file);
    if (!command.values.json) world.say(`Number ${sequence} of ${key}: ${inWords(statement)}`);
  }
  await confirm(command, world, "Type yes to sign all of these: ");
  const signer = await openSigner(command, world, office);
  const people = await ownKeys(office);
  for (const { key, sequence, file } of waiting) {
    const { bytes, signers } = await readSpooled(file);
    if (signers.includes(signer.kid))
      throw new Refusal("signer.already", `${signer.kid} has signed number ${sequence} already.`);
    const person = people.get(signer.kid);
    if (person !== undefined && signers.some((kid) => people.get(kid) === person))
      throw new Refusal("signer.same-person", `Number ${sequence} is signed by a key of ${quoted(person)} already.`);
    const opened = openEnvelope(bytes);
    if (opened.kind === "refused") throw new Refusal("spool.malformed", `${file} is not what this tool signed.`);
    const { payload, signatures } = opened.envelope;
    const own = signatures.map(
      ({ signed, signature }) =>
        `${Buffer.from(signed).toString("latin1")}.${Buffer.from(signature).toString("base64url")}`,
    );
    await settle(office.folder, key, sequence, "cosigned.jws", generalEnvelope([...own, signCompact(payload, signer)]));
  }
  if (command.values.json) world.answer({ cosigned: waiting.map(({ sequence }) => sequence) });
  else world.say(`Cosigned by ${signer.kid}: ${waiting.length}. Next: npm run office -- submit`);
  return EXIT.done;
}

function inWords(statement: Statement): string {
  switch (statement.type) {
    case "tally": {
      const ballots = statement.tallies.reduce((sum, tally) => sum + tally.ballots, 0);
      return `figures of ${statement.tallies.length} units of ${statement.state}, ${ballots} ballots in all, the first ${statement.tallies[0]?.unit}`;
    }
    case "declaration":
      return `the result of ${statement.state} is ${statement.declares}`;
    case "polls":
      return `the polls of ${statement.constituency ?? statement.state} are ${statement.polls}`;
    default:
      return `${statement.type} of ${statement.state}`;
  }
}
