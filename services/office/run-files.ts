import { stat } from "node:fs/promises";
import { join } from "node:path";
import { quoted } from "../../shared/platform/terminal.ts";
import { PUBLIC_MODE } from "../../shared/platform/write-new.ts";
import type { Tally } from "../../shared/statement/types.ts";
import { type Checked, type Found, meaningOf } from "./checking.ts";
import { type Office, openOffice, writeOwn } from "./folder.ts";
import type { Command } from "./options.ts";
import { officeFolder, openSigner } from "./own.ts";
import { draftMapping } from "./read/draft.ts";
import { type CountFile, openCount } from "./read/file.ts";
import type { Totals, Understood } from "./read/source.ts";
import { EXIT, Refusal } from "./refusal.ts";
import { checkFile, signFile, stampOf } from "./signing.ts";
import { readView } from "./view.ts";
import type { World } from "./world.ts";

/** The commands about files of figures: map, check and sign. */

export async function runMap(command: Command, world: World): Promise<number> {
  const text = `${JSON.stringify(await draftMapping(command.operands[0] as string), null, 2)}\n`;
  const { out } = command.values;
  if (out === undefined) world.output.write(text);
  else await writeOwn(out, text, PUBLIC_MODE);
  return EXIT.done;
}

function statusOf(command: Command, { status: mapped }: CountFile): Tally["status"] {
  const { status = mapped } = command.values;
  if (status !== "final" && status !== "provisional")
    throw new Refusal("command.wrong", `--status is final or provisional, not "${status}".`);
  return status;
}

export async function runCheck(command: Command, world: World): Promise<number> {
  const [path = ""] = command.operands;
  const office = await officeIfThere(command, world);
  const state = office === undefined ? undefined : (await readView(office)).state;
  let understood: Understood | undefined;
  const file = await openCount(path, command.values.map, (given) => {
    understood = given;
    if (!command.values.json) showUnderstood(path, given, office, world);
  });
  const given = { status: statusOf(command, file), reason: command.values.reason, now: world.now() };
  const checked = await checkFile(file, given, office, state);
  if (command.values.json) world.answer({ file: path, understood, ...checked, found: checked.found.map(explained) });
  else show(path, checked, world);
  return checked.errors === 0 ? EXIT.done : EXIT.refused;
}

export async function runSign(command: Command, world: World): Promise<number> {
  const [path = ""] = command.operands;
  const office = await openOffice(officeFolder(command, world));
  const view = await readView(office);
  let understood: Understood | undefined;
  const before = (how: Understood) => {
    if (understood === undefined && !command.values.json) showUnderstood(path, how, office, world);
    understood = how;
  };
  const stamp = await stampOf(path).catch(() => "");
  const file = await openCount(path, command.values.map, before);
  const given = { status: statusOf(command, file), reason: command.values.reason, now: world.now() };
  const checked = await checkFile(file, given, office, view.state);
  if (!command.values.json) show(path, checked, world, true);
  if (checked.errors > 0 && !command.values["only-good"]) {
    if (command.values.json) world.answer({ file: path, signed: 0, ...checked, found: checked.found.map(explained) });
    throw new Refusal(
      "check.failed",
      `Nothing was signed: ${checked.errors} things in ${path} would be refused or quarantined.`,
    );
  }
  const signer = await openSigner(command, world, office);
  if ((await stampOf(path)) !== stamp)
    throw new Refusal("file.changed", `${path} was written to while it was checked.`);
  const signed = await signFile(file, given, { office, view, signer, now: world.now });
  if ((await stampOf(path)) !== stamp) throw new Refusal("file.changed", `${path} was written to while it was signed.`);
  const [first] = signed.statements;
  const last = signed.statements.at(-1);
  if (command.values.json)
    world.answer({
      file: path,
      signed: signed.tallies,
      statements: signed.statements.map(({ sequence }) => sequence),
      ...checked,
      found: checked.found.map(explained),
    });
  else if (first === undefined || last === undefined) world.say("There is nothing new in it: nothing was signed.");
  else {
    const numbers = first === last ? `number ${first.sequence}` : `numbers ${first.sequence} to ${last.sequence}`;
    world.say(
      `Signed by ${signer.kid}: ${signed.tallies} units in ${signed.statements.length} statements, ${numbers}.`,
    );
    world.say("They wait in the spool. Next: npm run office -- submit");
  }
  return EXIT.done;
}

/** An office's folder if there is one: a file can be looked at before there is. One that was named must be there. */
async function officeIfThere(command: Command, world: World): Promise<Office | undefined> {
  const folder = officeFolder(command, world);
  const isThere = await stat(join(folder, "office.json")).then(
    () => true,
    () => false,
  );
  if (!isThere && command.values.office === undefined) return undefined;
  return openOffice(folder);
}

function showUnderstood(
  path: string,
  { format, encoding, notes }: Understood,
  office: Office | undefined,
  world: World,
): void {
  world.say(`${path}: ${format.toUpperCase()}, ${encoding}; ${notes.join("; ")}.`);
  const about = office?.election.definition;
  if (about === undefined) world.say("No office's folder: units and lists are not compared with any election.");
  else
    world.say(
      `${about.mode === "exercise" ? world.style.strong("EXERCISE: ") : ""}${about.title}, state ${office?.state}.`,
    );
}

const explained = (found: Found) => ({ ...found, ...meaningOf(found.code) });

/** `briefly`: warnings are counted only. */
function show(path: string, checked: Checked, world: World, briefly = false): void {
  const { style, say } = world;
  const told = checked.found.filter(({ level }) => level === "error" || !briefly);
  for (const found of told) say(sentence(path, found, world));
  for (const [code, count] of Object.entries(checked.codes)) {
    if (briefly && code.startsWith("W")) continue;
    const shown = checked.found.filter((found) => found.code === code).length;
    if (count > shown) say(`… and ${count - shown} more of ${code}.`);
  }
  const { totals, ownTotals, units, unchanged, errors, warnings, missing } = checked;
  const number = (n: number) => n.toLocaleString("en").replaceAll(",", " ");
  const inWords = ({ electors, ballots, blank, invalid, votes }: Totals) => {
    const lists = Object.entries(votes).map(([list, n]) => `${list} ${number(n)}`);
    const heads = `${number(electors)} electors, ${number(ballots)} ballots, ${number(blank)} blank, ${number(invalid)} invalid`;
    return lists.length === 0 ? `${heads}.` : `${heads}; votes: ${lists.join(", ")}.`;
  };
  say(`${number(units)} units: ${inWords(totals)}`);
  if (ownTotals !== undefined) say(`The file's own totals: ${inWords(ownTotals)}`);
  if (unchanged > 0) say(`${number(unchanged)} of them were signed before with the same figures.`);
  if (missing !== undefined && missing > 0)
    say(`${number(missing)} units of the state are neither in it nor signed before.`);
  const several = (n: number, what: string) => (n === 0 ? `no ${what}` : `${number(n)} ${what}${n === 1 ? "" : "s"}`);
  const worst = several(errors, "error");
  say(`${errors > 0 ? style.bad(worst) : style.good(worst)}, ${several(warnings, "warning")}.`);
}

/** One finding: where, what stands there, which rule, what it means, what to do. */
function sentence(path: string, { code, level, place, unit, detail }: Found, { style }: World): string {
  const { means, todo } = meaningOf(code);
  const where = [
    place.line > 0 ? `${path}:${place.line}${place.column === undefined ? "" : `:${place.column}`}` : path,
    place.name === undefined ? "" : ` ${quoted(place.name)}`,
    place.value === undefined ? "" : ` = ${quoted(place.value)}`,
    unit === undefined ? "" : ` (${unit})`,
  ].join("");
  const strong = level === "error" ? style.bad(code) : style.strong(code);
  return `${where}: ${strong} ${[means, detail, todo].filter(Boolean).join(" ")}`;
}
