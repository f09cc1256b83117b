import type { ReadStream } from "node:tty";
import { quoted, type Style } from "../../shared/platform/terminal.ts";
import { fingerprintOf, readRequest } from "../../shared/statement/enrolment.ts";
import { cosign, decide } from "./decide.ts";
import { type DecisionFile, readDecisionFile } from "./decision-file.ts";
import { bytesOf, type Election, loadElection } from "./definition.ts";
import { explain } from "./explain.ts";
import { makeKey, readOwnKey } from "./key.ts";
import type { Command, DoorOptions } from "./options.ts";
import { checkShareFiles, joinShareFiles, newRecoveryKey, splitRecoveryFile } from "./recovery.ts";
import { EXIT, meaningOf, Refusal } from "./refusal.ts";
import type { TrusteeSaying } from "./sayings.ts";
import { send } from "./send.ts";
import { confirm } from "./terminal.ts";
import { SECRET_MODE, writeNew } from "./write.ts";

/** What a command is given of the world. */
export interface World {
  input: NodeJS.ReadableStream & Partial<Pick<ReadStream, "isTTY">>;
  output: NodeJS.WritableStream;
  style: Style;
  /** ms since the epoch. */
  now(): number;
  /** How long a door that does not answer is asked again, ms. */
  patienceMs: number;
}

/** Carries out one command and answers the exit code. Rejects with a Refusal for everything that is not done. */
export async function run(command: Command, world: World): Promise<number> {
  const say = (line: string) => void world.output.write(`${line}\n`);
  switch (command.does) {
    case "decide":
      return decideAndSend(command, world);
    case "cosign": {
      const election = await loadElection(command.files);
      const own = await readOwnKey(command.keyFile);
      const agree = async (file: DecisionFile) => {
        say(explain(election, file, world.style));
        await confirm(`Type yes to sign this as ${own.kid}: `, { ...world, yes: command.yes });
      };
      const { path, file } = await cosign(command.file, election, { own, out: command.out, agree });
      say(explain(election, file, world.style));
      say(`Written to ${path}`);
      return EXIT.done;
    }
    case "show": {
      const election = await loadElection(command.files);
      say(explain(election, await readDecisionFile(command.file, election), world.style));
      return EXIT.done;
    }
    case "submit": {
      const election = await loadElection(command.files);
      const file = await readDecisionFile(command.file, election);
      say(explain(election, file, world.style));
      return submit(file, election, command.door, world);
    }
    case "key new": {
      const { jwk, publicKey } = makeKey(command.kid);
      await writeNew(command.out, `${JSON.stringify(jwk, null, 2)}\n`, SECRET_MODE);
      say(`The private key is in ${command.out}. It never leaves your hands. For the definition:`);
      say(JSON.stringify({ id: command.kid, publicKey }));
      return EXIT.done;
    }
    default:
      return recovery(command, say);
  }
}

async function decideAndSend(command: Extract<Command, { does: "decide" }>, world: World): Promise<number> {
  const say = (line: string) => void world.output.write(`${line}\n`);
  const election = await loadElection(command.files);
  const own = await readOwnKey(command.keyFile);
  const { keyFile, sequence, out, door } = command;
  const saying = "request" in command.saying ? await enrolmentIn(command.saying.request, say) : command.saying;
  const { path, file } = await decide(saying, election, { own, keyFile, sequence, out, now: world.now() });
  say(explain(election, file, world.style));
  say(`Written to ${path}`);
  if (door !== undefined) return submit(file, election, door, world);
  say(`Another trustee signs it next: npm run trustee -- cosign ${path}`);
  return EXIT.done;
}

/** What an office asks for: the key of a request whose proof of possession holds. Shows the fingerprint, which no file can vouch for. */
async function enrolmentIn(path: string, say: (line: string) => void): Promise<TrusteeSaying> {
  const request = readRequest(await bytesOf(path));
  if (request === undefined)
    throw new Refusal("request.wrong", `${path} is no request to enrol a key, or its key has not signed it.`);
  say(`Fingerprint of ${request.key.id}: ${fingerprintOf(request.key.publicKey)}`);
  say("Call the office under a number that you have from elsewhere, and let them read it to you, before you go on.");
  return { type: "key", change: "enrol", key: request.key };
}

async function submit(file: DecisionFile, election: Election, door: DoorOptions, world: World) {
  const { output, style, patienceMs } = world;
  const say = (line: string) => void output.write(`${line}\n`);
  say(`Sending it to ${door.url.origin}, for ${Math.ceil(patienceMs / 1000)} s at most`);
  const sent = await send(file, election, door, patienceMs);
  if (sent.kind === "refused") {
    say(`${style.bad("REFUSED")} at the door. ${quoted(sent.code)}: ${quoted(sent.detail)}`);
    return EXIT.refused;
  }
  const { verdict, entry, findings } = sent.receipt;
  say(`${verdict === "accepted" ? style.good("ACCEPTED") : style.bad("QUARANTINED: it has no effect")}`);
  say(`Entry ${entry.index} of the log, received ${entry.received}; the ledger's signature under the receipt holds.`);
  for (const { code } of findings) {
    const { means, todo } = meaningOf(code);
    say(`${code}: ${means} ${todo}`);
  }
  return verdict === "accepted" ? EXIT.done : EXIT.refused;
}

type Recovery = Extract<Command, { does: `recovery ${string}` }>;

async function recovery(command: Recovery, say: (line: string) => void): Promise<number> {
  switch (command.does) {
    case "recovery new":
    case "recovery split": {
      const { to } = command;
      const isNew = command.does === "recovery new";
      const publicKey = isNew ? await newRecoveryKey(to) : await splitRecoveryFile(command.keyFile, to);
      for (const { trustee, file } of to) say(`The share of ${trustee} is in ${file}.`);
      say(`Each goes to its trustee alone. The recovery key of the definition: ${publicKey}`);
      if (!isNew)
        say(`${command.keyFile} still holds the whole key. Remove it once the three have checked their shares.`);
      return EXIT.done;
    }
    case "recovery check": {
      const election = command.files === undefined ? undefined : await loadElection(command.files);
      const { trustees, recoveryKey, rebuilt } = await checkShareFiles(command.shares, election);
      say(`Undamaged: the share of ${trustees.join(", of ")}.`);
      say(`Of the recovery key ${recoveryKey}${election === undefined ? "" : ", which the definition names"}.`);
      if (rebuilt) say("Each two of them rebuild that key.");
      return EXIT.done;
    }
    case "recovery join": {
      const election = await loadElection(command.files);
      await joinShareFiles(command.shares, election, command.out);
      say(
        `The recovery key of this election is in ${command.out}. Whoever reads it can read every figure: give it to the vault, then remove it.`,
      );
      return EXIT.done;
    }
  }
}
