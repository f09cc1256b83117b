import { z } from "zod";
import { KEY_ID } from "../definition/schema.ts";
import { parseStrict } from "../statement/json.ts";
import { STATEMENTS, type StatementType } from "../statement/types.ts";
import { canonical, type DefinitionEntry, type Entry } from "./entry.ts";

const Hash = z.string().regex(/^[0-9a-f]{64}$/);
const Instant = z.iso.datetime({ precision: 3 });
const KeyId = z.string().regex(KEY_ID);

const EntryShape = z.strictObject({
  index: z.number().int().min(1),
  received: Instant,
  state: z.string().regex(/^[A-Z]{2}$/),
  key: KeyId,
  sequence: z.number().int().min(1),
  type: z.enum(Object.keys(STATEMENTS) as [StatementType, ...StatementType[]]),
  units: z.number().int().nonnegative(),
  statement: Hash,
  judgement: Hash,
});

const DefinitionEntryShape = z.strictObject({
  index: z.literal(0),
  received: Instant,
  type: z.literal("definition"),
  definition: Hash,
  signatures: z.array(z.strictObject({ key: KeyId, signature: z.string() })),
});

/**
 * Reads an entry's bytes as they were hashed: canonical JSON (RFC 8785) of an entry, or of entry 0. Undefined for anything else, so
 * that no two readers of one leaf can read two things.
 */
export function readEntry(body: Uint8Array): Entry | DefinitionEntry | undefined {
  const parsed = parseStrict(body);
  if (parsed.kind === "refused" || canonical(parsed.value) !== Buffer.from(body).toString("utf8")) return undefined;
  const read = z.union([EntryShape, DefinitionEntryShape]).safeParse(parsed.value);
  return read.success ? read.data : undefined;
}
