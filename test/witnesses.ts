import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, supervise } from "../infra/stack/processes.ts";
import type { Sample } from "../shared/definition/sample.ts";
import { checkpointText, noteSignatureLine, verifierKey } from "../shared/ledger/checkpoint.ts";
import { parseVerifierKey, type Witness, witnessVerifierKey } from "../shared/ledger/cosignature.ts";
import { consistencyProof, leafHash, rootOf } from "../shared/ledger/merkle.ts";
import { importVerifyKey, type VerifyKey } from "../shared/statement/ed25519.ts";

/** A log that a test grows, and forks, as it likes; its checkpoints are as true as any. */
export interface TestLog {
  origin: string;
  verifierKey: string;
  publicKey: VerifyKey;
  leaves: Uint8Array[];
  /** Appends `count` leaves of this history. */
  grow(count: number): void;
  /** The signed checkpoint of a size; with another line after its three, if one is given. */
  note(size: number, extension?: string): Promise<string>;
  /** The body of `add-checkpoint`, with what is wrong with it. */
  request(
    oldSize: number,
    newSize: number,
    wrong?: { proof?: Uint8Array[]; note?: string; old?: string },
  ): Promise<string>;
  /** Another history under the same key: the same first `size` leaves, others after them. */
  fork(size: number): TestLog;
}

export function createTestLog(origin = "results.example.eu/test"): TestLog {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  return logOf(origin, "main", privateKey, raw, []);
}

function logOf(origin: string, history: string, key: KeyObject, raw: Uint8Array, leaves: Uint8Array[]): TestLog {
  const publicKey = verifyKeyOf(raw);
  const note = async (size: number, extension?: string) => {
    const end = extension === undefined ? "" : `${extension}\n`;
    const text = `${checkpointText(origin, size, rootOf(leaves.slice(0, size)))}${end}`;
    return `${text}\n${noteSignatureLine(origin, raw, sign(null, Buffer.from(text), key))}`;
  };
  return {
    origin,
    verifierKey: verifierKey(origin, raw),
    publicKey,
    leaves,
    grow(count) {
      for (let i = 0; i < count; i++) leaves.push(leafHash(Buffer.from(`${history} ${leaves.length}`)));
    },
    note,
    async request(oldSize, newSize, wrong = {}) {
      const proof = wrong.proof ?? consistencyProof(leaves, Math.min(oldSize, newSize), newSize);
      const lines = proof.map((hash) => `${Buffer.from(hash).toString("base64")}\n`);
      return `old ${wrong.old ?? oldSize}\n${lines.join("")}\n${wrong.note ?? (await note(newSize))}`;
    },
    fork: (size) => logOf(origin, `${history} fork`, key, raw, leaves.slice(0, size)),
  };
}

function verifyKeyOf(raw: Uint8Array): VerifyKey {
  const key = importVerifyKey(raw);
  if (key === undefined) throw new Error("a fresh key that is none");
  return key;
}

/** The witness of a verifier key, as a verifier knows it. */
export function witnessOf(text: string): Witness {
  const read = parseVerifierKey(text);
  if (read?.alg !== 4) throw new Error(`not a witness' key: ${text}`);
  return { name: read.name, publicKey: verifyKeyOf(read.raw) };
}

export interface RunningWitness {
  child: Child;
  url: string;
  verifierKey: string;
  state: string;
  witness: Witness;
}

/**
 * Starts services/witness/main.ts with a key and a memory of its own in `folder`; again in the same folder it is the same witness. The key is
 * that of the sample if it has one of that name, else one that the witness makes.
 */
export async function startWitness(options: {
  folder: string;
  name: string;
  /** Verifier keys. */
  logs: string[];
  port?: number;
  sample?: Sample;
}): Promise<RunningWitness> {
  const { folder, name, logs, port, sample } = options;
  const state = join(folder, `${name}-state`);
  const keyFile = join(folder, `${name}.json`);
  const own = sample?.keys.get(name);
  if (own !== undefined) {
    await writeFile(keyFile, JSON.stringify(own.jwk), { mode: 0o600 });
    await mkdir(state, { recursive: true });
    await writeFile(join(state, "verifier-key"), `${witnessVerifierKey(name, own.publicRaw)}\n`);
  }
  const env = {
    HOST: "127.0.0.1",
    WITNESS_KEY_FILE: keyFile,
    WITNESS_STATE: state,
    WITNESS_LOGS: logs.join(" "),
    WITNESS_NAME: `witness.example/${name}`,
  };
  const script = fileURLToPath(new URL("../services/witness/main.ts", import.meta.url));
  const quiet = () => undefined;
  const child = await supervise({
    name,
    script,
    env,
    folder,
    say: quiet,
    restart: true,
    ...(port !== undefined && { port }),
  });
  const key = (await readFile(join(state, "verifier-key"), "utf8")).trim();
  return { child, url: child.url, verifierKey: key, state, witness: witnessOf(key) };
}
