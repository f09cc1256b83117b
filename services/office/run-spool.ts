import { createHash } from "node:crypto";
import { VERDICT_CODES, type VerdictCode } from "../../shared/ledger/codes.ts";
import { closeInForce } from "../../shared/ledger/state.ts";
import { quoted } from "../../shared/platform/terminal.ts";
import { PUBLIC_MODE } from "../../shared/platform/write-new.ts";
import { PROBLEMS, type ProblemCode } from "../../shared/statement/problems.ts";
import { type Office, openOffice, writeOwn } from "./folder.ts";
import { type Command, duration } from "./options.ts";
import { officeFolder } from "./own.ts";
import { proveStatement } from "./prove.ts";
import { EXIT, Refusal } from "./refusal.ts";
import { listSpool, readSettled, readSpooled, spoolKeys } from "./spool.ts";
import { signersOf, submitSpool } from "./submitting.ts";
import { judgedIn, readView, verdictOf } from "./view.ts";
import type { World } from "./world.ts";

/** The commands about what was signed: submit, status and prove. */

const FIRST_FINDINGS = 20;

export async function runSubmit(command: Command, world: World): Promise<number> {
  const office = await openOffice(officeFolder(command, world));
  const { json, wait = "10m" } = command.values;
  const closesAt = closeInForce((await readView(office)).state, office.state);
  const started = world.now();
  const done = await submitSpool(office, {
    patienceMs: duration(wait),
    signal: world.signal,
    closesAt,
    now: world.now,
    progress: (n, of) => {
      if (!json) world.progress(of === 0 ? undefined : bar(n, of, (world.now() - started) / 1_000));
    },
  }).finally(() => world.progress(undefined));
  const left = done.waiting - done.accepted - done.quarantined - done.refused - done.unfinished - done.early;
  if (json) world.answer({ ...done, left });
  else {
    const { accepted, quarantined, refused, unfinished, findings } = done;
    if (done.waiting === 0) world.say("Nothing waits: everything in the spool has its answer.");
    const errors = findings.filter(({ code }) => !code.startsWith("W"));
    for (const { code, unit, sequence } of errors.slice(0, FIRST_FINDINGS))
      world.say(findingLine(code, sequence, unit, world));
    if (errors.length > FIRST_FINDINGS) world.say(`… and ${errors.length - FIRST_FINDINGS} more; status lists them.`);
    if (findings.length > errors.length)
      world.say(`${findings.length - errors.length} warnings stand in the receipts: check shows them by line.`);
    if (done.waiting > 0)
      world.say(
        `${world.style.good(`${accepted} accepted`)}, ${mark(quarantined, "quarantined", world)}, ${mark(refused, "refused at the door", world)}${left > 0 ? `, ${left} not sent yet` : ""}.`,
      );
    if (done.early > 0)
      world.say(
        `${done.early} are kept back until the polls close, at ${new Date(closesAt).toISOString()}: submit them then.`,
      );
    if (unfinished > 0) world.say(`${unfinished} wait for another official: npm run office -- cosign`);
  }
  if (world.signal.aborted && left > 0) return INTERRUPTED;
  return done.quarantined + done.refused + done.early > 0 ? EXIT.refused : EXIT.done;
}

/** As shells have it after Ctrl-C. */
export const INTERRUPTED = 130;

const mark = (n: number, what: string, { style }: World) => (n > 0 ? style.bad(`${n} ${what}`) : `0 ${what}`);

function bar(n: number, of: number, seconds: number): string {
  const width = 30;
  const full = Math.floor((n / of) * width);
  const rate = n > 0 && seconds > 0 ? `, ${Math.ceil(((of - n) * seconds) / n)} s left` : "";
  return `[${"#".repeat(full)}${".".repeat(width - full)}] ${n} of ${of} have their receipt${n < of ? rate : ""}`;
}

function findingLine(code: string, sequence: number, unit: string | undefined, { style }: World): string {
  const { means, todo } = meaning(code);
  const strong = code.startsWith("W") ? style.strong(code) : style.bad(code);
  return `number ${sequence}${unit === undefined ? "" : `, ${quoted(unit)}`}: ${strong} ${means} ${todo}`;
}

function meaning(code: string): { means: string; todo: string } {
  if (Object.hasOwn(VERDICT_CODES, code)) return VERDICT_CODES[code as VerdictCode];
  if (!Object.hasOwn(PROBLEMS, code))
    return { means: "This tool does not know this code.", todo: "See /v1/codes at the door." };
  const { title, todo } = PROBLEMS[code as ProblemCode];
  return { means: title, todo };
}

/** What a key has signed, as the spool tells it. */
interface KeyStatus {
  key: string;
  signed: number;
  accepted: number;
  quarantined: { sequence: number; codes: string[] }[];
  refused: { sequence: number; code: string }[];
  waiting: number[];
  unfinished: number[];
  /** Numbers below the last one that nothing was signed under: a gap in the log. */
  gaps: number[];
  units: number;
}

export async function runStatus(command: Command, world: World): Promise<number> {
  const office = await openOffice(officeFolder(command, world));
  const { definition } = office.election;
  const keys = [];
  for (const key of await spoolKeys(office.folder)) keys.push(await statusOf(office, key));
  const { state } = await readView(office);
  const units = state.unitsIn.get(office.state) ?? 0;
  const of = office.register.expectedUnits(office.state);
  if (command.values.json) {
    world.answer({ state: office.state, election: office.election.hash, mode: definition.mode, keys, units, of });
    return EXIT.done;
  }
  const { say, style } = world;
  say(`${definition.mode === "exercise" ? style.strong("EXERCISE: ") : ""}${definition.title}, state ${office.state}`);
  if (keys.length === 0) say("Nothing was signed yet.");
  for (const one of keys) {
    say(
      `${one.key}: ${one.signed} signed, ${style.good(`${one.accepted} accepted`)}, ${mark(one.quarantined.length, "quarantined", world)}, ${mark(one.refused.length, "refused", world)}, ${one.waiting.length} to be sent, ${one.unfinished.length} to be cosigned; ${one.units} units in receipts.`,
    );
    for (const { sequence, codes } of one.quarantined)
      for (const code of codes.slice(0, FIRST_FINDINGS)) say(`  ${findingLine(code, sequence, undefined, world)}`);
    for (const { sequence, code } of one.refused) say(`  ${findingLine(code, sequence, undefined, world)}`);
    if (one.gaps.length > 0)
      say(
        `  ${style.bad("gaps")}: nothing was signed under ${one.gaps.join(", ")}. Void them: npm run office -- void ${one.gaps[0]} --reason …`,
      );
  }
  say(`${units} of ${of} units are reported${units < of ? `; ${of - units} are missing` : ""}.`);
  return EXIT.done;
}

async function statusOf(office: Office, key: string): Promise<KeyStatus> {
  const status: KeyStatus = {
    key,
    signed: 0,
    accepted: 0,
    quarantined: [],
    refused: [],
    waiting: [],
    unfinished: [],
    gaps: [],
    units: 0,
  };
  let next = 1;
  for (const { sequence, state, file } of await listSpool(office.folder, key)) {
    for (; next < sequence; next++) status.gaps.push(next);
    next = sequence + 1;
    status.signed++;
    if (state === "refused") {
      const { code } = JSON.parse(await readSettled(office.folder, key, sequence, "refused")) as { code: string };
      status.refused.push({ sequence, code });
    } else if (state === "receipt") {
      const receipt = judgedIn(office, await readSettled(office.folder, key, sequence, "receipt"));
      if (receipt === undefined)
        throw new Refusal("receipt.wrong", `The receipt of number ${sequence} of ${key} is not signed by the ledger.`);
      if (receipt.verdict === "accepted") {
        status.accepted++;
        status.units += receipt.entry.units;
      } else {
        const codes = receipt.findings.filter(({ code }) => code.startsWith("F")).map(({ code }) => code);
        status.quarantined.push({ sequence, codes: [...new Set(codes)] });
      }
    } else {
      const { statement, signers } = await readSpooled(file);
      status[signers.length < signersOf(office, statement) ? "unfinished" : "waiting"].push(sequence);
    }
  }
  return status;
}

export async function runProve(command: Command, world: World): Promise<number> {
  const office = await openOffice(officeFolder(command, world));
  const { key, sequence, file } = await whichToProve(command, office);
  const { bytes } = await readSpooled(file);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const receipt = verdictOf(office, await readSettled(office.folder, key, sequence, "receipt"));
  if (receipt === undefined)
    throw new Refusal("receipt.wrong", `The receipt of number ${sequence} is not signed by the ledger.`);
  const proven = await proveStatement(office, sha256, receipt.entry, world.signal);
  const { out, json } = command.values;
  if (out !== undefined) await writeOwn(out, proven.text, PUBLIC_MODE);
  if (json)
    world.answer({
      key,
      sequence,
      statement: sha256,
      index: proven.index,
      size: proven.size,
      cosigned: proven.cosigned,
    });
  else {
    world.say(
      `Number ${sequence} of ${key} is entry ${proven.index} of ${proven.origin}, proven under the head of ${proven.size} entries.`,
    );
    world.say(
      `Cosigned by ${proven.cosigned.length === 0 ? "no witness" : proven.cosigned.join(", ")}. The receipt and the log say the same.`,
    );
    if (out !== undefined) world.say(`The proof is in ${out}: anyone verifies it offline.`);
  }
  return EXIT.done;
}

async function whichToProve({ operands, values }: Command, { folder }: Office) {
  const [text] = operands;
  const wanted = text === undefined ? undefined : Number(text);
  if (wanted !== undefined && !(Number.isSafeInteger(wanted) && wanted > 0))
    throw new Refusal("command.wrong", `prove takes a sequence number, not "${text}".`);
  const keys = values.key === undefined ? await spoolKeys(folder) : [values.key];
  for (const key of keys.toReversed()) {
    const with_ = (await listSpool(folder, key)).filter(({ state }) => state === "receipt");
    const found = wanted === undefined ? with_.at(-1) : with_.find(({ sequence }) => sequence === wanted);
    if (found !== undefined) return { key, ...found };
  }
  throw new Refusal(
    "receipt.missing",
    wanted === undefined ? "No statement has a receipt yet." : `Number ${wanted} has no receipt.`,
  );
}
