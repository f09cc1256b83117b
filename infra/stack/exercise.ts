import type { Definition } from "../../shared/definition/schema.ts";
import { committedDefinition, makeExercise } from "../elections/ep2024/exercise.ts";
import { type KeyPair, makeSecrets } from "./secrets.ts";
import type { Exercise } from "./stack.ts";
import { witnessesOf } from "./witnesses.ts";

const named = ({ id, publicKey }: KeyPair) => ({ id, publicKey });

/**
 * An exercise of its own on the election of 2024: the same states, lists and rules, closings at real instants, and keys that
 * exist for this one stack only. `closesAt` maps an instant of 2024 (RFC 3339, UTC) to a real one.
 */
export async function makeNightExercise(options: {
  full: boolean;
  closesAt: (utc: string) => Date;
}): Promise<Exercise> {
  const base = JSON.parse(Buffer.from(committedDefinition().bytes).toString("utf8")) as Definition;
  const secrets = await makeSecrets(base);
  const publicKeys = new Map(secrets.keys.map(({ id, publicKey }) => [id, publicKey]));
  const { bytes, signatures, definition, hash } = makeExercise({
    ...options,
    now: new Date(),
    authority: secrets.authority,
    keys: base.keys.map((key) => ({ ...key, publicKey: publicKeys.get(key.id) ?? key.publicKey })),
    vault: { publicKey: secrets.vault.publicKey, recoveryKey: secrets.recovery.publicKey },
    origin: base.origin,
    witnesses: witnessesOf(secrets.witnesses),
    door: { pins: [secrets.door.pin] },
    publication: { parliament: [named(secrets.publication.parliament)], release: [named(secrets.publication.release)] },
  });
  return { definition: { bytes, signatures, read: definition, hash }, secrets };
}
