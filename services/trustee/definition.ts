import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Definition } from "../../shared/definition/schema.ts";
import { readDefinition } from "../../shared/definition/validate.ts";
import { Refusal } from "./refusal.ts";

/** The election that is decided about: its definition, signed by two keys of the authority, and the hash that names it. */
export interface Election {
  definition: Definition;
  /** SHA-256 of the definition's bytes, hex. */
  hash: string;
}

export interface DefinitionFiles {
  definition: string;
  signatures: string;
  authority: string;
}

const Anchors = z.array(z.strictObject({ id: z.string(), publicKey: z.string() })).min(2);

/** Reads and checks the definition as every service does. Rejects with a Refusal that names the first reason. */
export async function loadElection(files: DefinitionFiles): Promise<Election> {
  const bytes = await bytesOf(files.definition);
  const signatures = jsonOf(await bytesOf(files.signatures), files.signatures);
  const anchors = Anchors.safeParse(jsonOf(await bytesOf(files.authority), files.authority));
  if (!anchors.success)
    throw new Refusal(
      "definition.refused",
      `${files.authority} must hold two keys of the authority: [{"id", "publicKey"}].`,
    );
  const read = readDefinition(bytes, signatures, anchors.data);
  if (read.kind === "valid") return { definition: read.definition, hash: read.hash };
  const [reason] = read.reasons;
  throw new Refusal(
    "definition.refused",
    `${files.definition}: ${reason?.message ?? "It is refused."} (${reason?.code})`,
  );
}

export async function bytesOf(path: string): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
}

function jsonOf(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new Refusal("definition.refused", `${path} is not JSON.`);
  }
}
