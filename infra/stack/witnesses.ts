import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Definition } from "../../shared/definition/schema.ts";
import { verifierKey } from "../../shared/ledger/checkpoint.ts";
import { witnessVerifierKey } from "../../shared/ledger/cosignature.ts";
import type { Say } from "./child.ts";
import { type Child, supervise } from "./processes.ts";
import type { KeyPair } from "./secrets.ts";

/** The witnesses of an exercise: two of its own, so that a quorum is more than one of them. */
export const WITNESS_NAMES = ["witness.example/scrutin-1", "witness.example/scrutin-2"] as const;

/** What the definition says of witnesses with these keys: every one of them is the quorum. */
export function witnessesOf(keys: readonly KeyPair[]): NonNullable<Definition["witnesses"]> {
  const named = keys.map(({ id, publicKey }) => ({ name: id, operator: "This exercise's own stack", publicKey }));
  return { quorum: named.length, keys: named };
}

/** Where the key and the memory of a witness lie. */
export interface WitnessFiles {
  /** Of its process and its log. */
  service: string;
  verifierKey: string;
  key: string;
  state: string;
}

/** Writes the keys to `<folder>/secrets`, and an empty memory for each to `<folder>`: both are kept with a stack that is kept. */
export async function writeWitnesses(folder: string, keys: readonly KeyPair[]): Promise<WitnessFiles[]> {
  return Promise.all(
    keys.map(async ({ id, publicKey, jwk }, n) => {
      const service = `witness-${n + 1}`;
      const files: WitnessFiles = {
        service,
        verifierKey: witnessVerifierKey(id, Buffer.from(publicKey, "base64url")),
        key: join(folder, "secrets", `${service}.json`),
        state: join(folder, service),
      };
      await writeFile(files.key, `${JSON.stringify(jwk, null, 2)}\n`, { mode: 0o600 });
      await mkdir(files.state, { recursive: true, mode: 0o700 });
      await writeFile(join(files.state, "verifier-key"), `${files.verifierKey}\n`, { mode: 0o600 });
      return files;
    }),
  );
}

/** Starts each as a process of its own, which watches the log of this definition and no other. */
export async function startWitnesses(
  files: readonly WitnessFiles[],
  { origin, keys }: Definition,
  { folder, say, started }: { folder: string; say: Say; started: (child: Child) => void },
): Promise<Child[]> {
  const publicKey = keys.find(({ role }) => role === "ledger")?.publicKey ?? "";
  const log = verifierKey(origin, Buffer.from(publicKey, "base64url"));
  const script = fileURLToPath(new URL("../../services/witness/main.ts", import.meta.url));
  return Promise.all(
    files.map(async ({ service: name, key, state }) => {
      const env = {
        HOST: "127.0.0.1",
        WITNESS_KEY_FILE: key,
        WITNESS_STATE: state,
        WITNESS_LOGS: log,
        SCRUTIN_PARENT: "1",
      };
      const child = await supervise({ name, script, env, folder, say, restart: true });
      started(child);
      say(`${name} is up at ${child.url}`);
      return child;
    }),
  );
}

/** The file by which the ledger knows where to ask; addresses change at every start of the stack. */
export async function writeAddresses(
  folder: string,
  files: readonly WitnessFiles[],
  children: readonly Child[],
): Promise<string> {
  const file = join(folder, "witnesses.json");
  const witnesses = files.map(({ verifierKey: known }, n) => ({ url: children[n]?.url, verifierKey: known }));
  await writeFile(file, `${JSON.stringify(witnesses, null, 2)}\n`);
  return file;
}
