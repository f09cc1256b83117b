import { fingerprintOf } from "../../shared/statement/enrolment.ts";
import { besides, enrolByDecision, enrolInExercise } from "./enrol.ts";
import { chooseKey, makeKey, openKey } from "./keys.ts";
import { type Command, need } from "./options.ts";
import { officeFolder } from "./own.ts";
import { askPassphrase } from "./passphrase.ts";
import { EXIT, Refusal } from "./refusal.ts";
import type { World } from "./world.ts";

/** The commands about keys: keygen and enrol. */

/** An enrolment is waited for: nobody signs before it. */
const PATIENCE_MS = 60_000;

export async function runKeygen(command: Command, world: World): Promise<number> {
  const state = need(command, "state");
  if (!/^[A-Z]{2}$/.test(state))
    throw new Refusal("command.wrong", `--state takes the EU's two letters, not "${state}".`);
  const { id, backup = false, from } = command.values;
  const wanted = { id, state, official: need(command, "official"), backup, from, now: world.now() };
  const passphrase = await askPassphrase(command.values["passphrase-file"], world, { isNew: true });
  const made = await makeKey(officeFolder(command, world), wanted, passphrase);
  const fingerprint = fingerprintOf(made.publicKey);
  if (command.values.json)
    world.answer({ key: made.id, publicKey: made.publicKey, fingerprint, request: made.request });
  else {
    world.say(
      `The key ${made.id} of ${made.official}, ${made.state}, is made; it lies encrypted in ${officeFolder(command, world)}.`,
    );
    world.say(`The request to enrol it: ${made.request}`);
    world.say(`Fingerprint: ${world.style.strong(fingerprint)}`);
    world.say("The authority calls you, under a number that it has from elsewhere, and you read it to them.");
  }
  return EXIT.done;
}

export async function runEnrol(command: Command, world: World): Promise<number> {
  const folder = officeFolder(command, world);
  const { exercise, release } = command.values;
  const [decision] = command.operands;
  if ((exercise === undefined) === (decision === undefined))
    throw new Refusal("command.wrong", "enrol takes the file of a decision, or --exercise STACK.json.");
  const key = await chooseKey(folder, command.values.key);
  const passphrase = await askPassphrase(command.values["passphrase-file"], world, { isNew: false });
  const own = await openKey(folder, key.id, passphrase);
  const enrolling = { folder, key, own, now: world.now(), patienceMs: PATIENCE_MS };
  const index =
    exercise === undefined
      ? await enrolByDecision(
          decision as string,
          filesOf(command),
          { ingest: need(command, "url"), release },
          enrolling,
        )
      : await enrolInExercise(exercise, enrolling);
  if (command.values.json) world.answer({ key: key.id, entry: index });
  else {
    world.say(
      `${key.id} is enrolled: entry ${index} of the log. ${folder} is the folder of ${key.state}'s office now.`,
    );
    world.say("Next: npm run office -- check FILE --map MAPPING.json");
  }
  return EXIT.done;
}

function filesOf(command: Command) {
  const files = besides(need(command, "definition"));
  const { signatures = files.signatures, authority = files.authority } = command.values;
  return { ...files, signatures, authority };
}
