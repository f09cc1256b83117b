import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { localTime } from "../../../shared/definition/schedule.ts";
import type { Closing, Definition, Key, State } from "../../../shared/definition/schema.ts";
import { type DetachedSignatures, signDefinition } from "../../../shared/definition/sign.ts";
import { type Anchor, readDefinition } from "../../../shared/definition/validate.ts";
import { AUTHORITY_IDS, demonstrationKey, rawPublicKey } from "./demonstration-keys.ts";
import { readGermanUnits } from "./feed.ts";

export interface ExerciseOptions {
  /** Germany by its 91,753 districts instead of as one unit. */
  full: boolean;
  /** The instant at which a closing of 2024 (RFC 3339, UTC) takes place in the exercise. */
  closesAt: (utc: string) => Date;
  /** When the exercise is made; stands in its title. */
  now: Date;
  /** Two or more keys of the authority, which sign. */
  authority: { id: string; privateKey: KeyObject }[];
  /** Public keys of offices, trustees and services. */
  keys: Key[];
  /** Raw X25519 public keys, base64url. */
  vault: { publicKey: string; recoveryKey: string };
  /** The log's origin: a URL without a scheme. */
  origin: string;
  /** Who cosigns the log's heads; nobody unless said. */
  witnesses?: NonNullable<Definition["witnesses"]>;
  /** By which keys offices know the door; by none unless said. */
  door?: NonNullable<Definition["door"]>;
  /** Whose keys pull and publish; nobody's unless said. */
  publication?: NonNullable<Definition["publication"]>;
}

/** The committed definition and its signatures, as bytes. */
export function committedDefinition(): { bytes: Uint8Array; signatures: DetachedSignatures; anchors: Anchor[] } {
  const read = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));
  return {
    bytes: read("./definition.json"),
    signatures: JSON.parse(read("./definition.signatures.json").toString("utf8")) as DetachedSignatures,
    anchors: AUTHORITY_IDS.map((id) => ({ id, publicKey: rawPublicKey(demonstrationKey(id)) })),
  };
}

/**
 * A new exercise on the election of 2024: another definition, whose closings are real instants and whose keys are the
 * caller's. `bytes` are what is signed and hashed; `anchors` are the trust roots that a service is given. Throws, with every reason, if the
 * options make a definition that no service would take.
 */
export function makeExercise(options: ExerciseOptions): {
  bytes: Uint8Array;
  signatures: DetachedSignatures;
  anchors: Anchor[];
  definition: Definition;
  hash: string;
} {
  const base = JSON.parse(Buffer.from(committedDefinition().bytes).toString("utf8")) as Definition;
  const anchors = options.authority.map(({ id, privateKey }) => ({ id, publicKey: rawPublicKey(privateKey) }));
  const exercise: Definition = {
    ...base,
    title: `Exercise of ${options.now.toISOString()} on the ${base.title}`,
    mode: "exercise",
    origin: options.origin,
    authority: anchors,
    keys: options.keys,
    vault: options.vault,
    ...(options.witnesses !== undefined && { witnesses: options.witnesses }),
    ...(options.door !== undefined && { door: options.door }),
    ...(options.publication !== undefined && { publication: options.publication }),
    states: base.states.map((state) => exerciseState(state, options)),
    sources: base.sources.filter((source) => !source.includes("demonstration keys")),
  };
  const bytes = Buffer.from(JSON.stringify(exercise));
  const signatures = signDefinition(bytes, options.authority);
  const read = readDefinition(bytes, signatures, anchors);
  if (read.kind === "invalid")
    throw new Error(`no exercise: ${read.reasons.map(({ code, message }) => `${code}: ${message}`).join(" ")}`);
  return { bytes, signatures, anchors, definition: read.definition, hash: read.hash };
}

function exerciseState(state: State, { full, closesAt }: ExerciseOptions): State {
  const closings = state.closings.map((closing) => exerciseClosing(state, closing, closesAt(closing.utc)));
  if (!full || state.id !== "DE") return { ...state, closings };
  return { ...state, closings, units: readGermanUnits().map((group) => ({ constituency: "DE", ...group })) };
}

/** The same instant in both notations, with the offset that the closing's zone has on that day. */
function exerciseClosing(state: State, closing: Closing, at: Date): Closing {
  const local = localTime(closing.timezone ?? state.timezone, at.getTime());
  return { ...closing, local, utc: at.toISOString() };
}
