import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Definition } from "../definition/schema.ts";
import { readDefinition } from "../definition/validate.ts";

/** An election as a person's tool knows it: its definition, signed by two keys of the authority, and the hash that names it. */
export interface Election {
  definition: Definition;
  /** SHA-256 of the definition's bytes, hex. */
  hash: string;
}

/** Where the definition, its detached signatures and the authority's keys lie. */
export interface DefinitionFiles {
  definition: string;
  signatures: string;
  authority: string;
}

/** Why these files are no election: `unreadable`, or `refused` with the first reason. */
export class ElectionRefused extends Error {
  readonly why: "unreadable" | "refused";
  constructor(why: ElectionRefused["why"], sentence: string) {
    super(sentence);
    this.why = why;
  }
}

const Anchors = z.array(z.strictObject({ id: z.string(), publicKey: z.string() })).min(2);

/** Reads and checks the definition as every service does. Rejects with ElectionRefused. */
export async function readElection(files: DefinitionFiles): Promise<Election> {
  const bytes = await bytesOf(files.definition);
  const signatures = jsonOf(await bytesOf(files.signatures), files.signatures);
  const anchors = Anchors.safeParse(jsonOf(await bytesOf(files.authority), files.authority));
  if (!anchors.success)
    throw new ElectionRefused(
      "refused",
      `${files.authority} must hold two keys of the authority: [{"id", "publicKey"}].`,
    );
  const read = readDefinition(bytes, signatures, anchors.data);
  if (read.kind === "valid") return { definition: read.definition, hash: read.hash };
  const [reason] = read.reasons;
  throw new ElectionRefused("refused", `${files.definition}: ${reason?.message ?? "It is refused."} (${reason?.code})`);
}

async function bytesOf(path: string): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new ElectionRefused("unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
}

function jsonOf(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new ElectionRefused("refused", `${path} is not JSON.`);
  }
}
