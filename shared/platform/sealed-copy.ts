import { z } from "zod";
import { detachedSignatures, type ReleaseId } from "./release-seal.ts";
import { open, SealBroken } from "./seal.ts";

/**
 * A release as the Parliament holds it before its key is there: a header that says which one it is, what `tabulate` sealed, and what
 * `recount` sealed in answer. Header: "scrutin-sealed-1", then number and size (uint64), the lengths of the two (uint32), all big-endian.
 */
export interface SealedCopy extends ReleaseId {
  candidate: Uint8Array;
  answer: Uint8Array;
}

const MAGIC = Buffer.from("scrutin-sealed-1", "latin1");
const HEADER_BYTES = MAGIC.length + 8 + 8 + 4 + 4;
/** The Union of 2024 is 135,000 bytes, and what could need more has as many as it could need. */
export const MAX_SEALED_BYTES = 16 * 1024 * 1024;

export function encodeSealedCopy({ number, size, candidate, answer }: SealedCopy): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.set(MAGIC);
  header.writeBigUInt64BE(BigInt(number), MAGIC.length);
  header.writeBigUInt64BE(BigInt(size), MAGIC.length + 8);
  header.writeUInt32BE(candidate.length, MAGIC.length + 16);
  header.writeUInt32BE(answer.length, MAGIC.length + 20);
  return Buffer.concat([header, candidate, answer]);
}

/** Undefined for bytes that are no such copy, whole and with nothing behind it. */
export function decodeSealedCopy(bytes: Uint8Array): SealedCopy | undefined {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (all.length < HEADER_BYTES || !all.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const [number, size] = [all.readBigUInt64BE(MAGIC.length), all.readBigUInt64BE(MAGIC.length + 8)];
  const end = HEADER_BYTES + all.readUInt32BE(MAGIC.length + 16);
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  if (number < 1n || number > most || size > most) return undefined;
  if (all.length !== end + all.readUInt32BE(MAGIC.length + 20)) return undefined;
  const [candidate, answer] = [all.subarray(HEADER_BYTES, end), all.subarray(end)];
  return { number: Number(number), size: Number(size), candidate, answer };
}

/** What `tabulate` sealed. */
export const Candidate = z.strictObject({ release: z.string(), signature: z.string() });
/** What `recount` sealed. */
export const Answer = z.discriminatedUnion("agrees", [
  z.strictObject({ agrees: z.literal(true), signature: z.string() }),
  z.strictObject({ agrees: z.literal(false), differs: z.string() }),
]);

/** What a copy holds; nothing of it is verified, but that it was sealed with this key for this number and size. */
export interface OpenedCopy {
  /** The release's exact bytes. */
  bytes: Buffer;
  /** Both signatures, as they are served beside the release. */
  signatures: string;
}

/** Opens a copy with the key of its number and size (32 bytes). Throws SealBroken on any change, for another key, and for what is no release. */
export function openSealedCopy({ number, size, candidate, answer }: SealedCopy, key: Uint8Array): OpenedCopy {
  const unseal = <T>(context: string, sealed: Uint8Array, shape: z.ZodType<T>): T => {
    const read = shape.safeParse(jsonOrUndefined(open(key, "release", context, sealed)));
    if (!read.success) throw new SealBroken("a sealed thing is not what a count writes");
    return read.data;
  };
  if (key.length !== 32) throw new SealBroken("a key has 32 bytes");
  const document = unseal(`${number}/${size}`, candidate, Candidate);
  const answered = unseal(`${number}/${size}/answer`, answer, Answer);
  if (!answered.agrees) throw new SealBroken("the second count did not find it");
  const signatures = detachedSignatures([document.signature, answered.signature]);
  return { bytes: Buffer.from(document.release, "utf8"), signatures };
}

function jsonOrUndefined(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined; // no JSON has the shape that is asked for
  }
}
