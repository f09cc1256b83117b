import { createHash, type KeyObject, sign } from "node:crypto";
import type { Sample } from "../../shared/definition/sample.ts";
import { checkpointText, signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { cosign, witnessesOf } from "../../shared/ledger/cosignature.ts";
import { appendLeaf, createFrontier, frontierRoot, leafHash } from "../../shared/ledger/merkle.ts";
import { authorityOfDefinition } from "../../shared/platform/log-authorities.ts";
import { createHeardLog, type LogLine } from "../../shared/platform/log-fixture.ts";
import type { LogSources } from "./log.ts";
import type { CheckpointRow } from "./store.ts";

/** Logs of any size for tests: entries that say no more than which they are, under true checkpoints and cosignatures. */

export const statementHash = (index: number) => createHash("sha256").update(`statement ${index}`).digest("hex");

/** The bytes of an entry. `BODY_SQL` gives the same of `n`. */
export const bodyOf = (index: number) =>
  Buffer.from(`{"index":${index},"statement":"${statementHash(index)}"}`, "utf8");

export const BODY_SQL = `convert_to('{"index":' || n || ',"statement":"' ||
  encode(sha256(convert_to('statement ' || n, 'UTF8')), 'hex') || '"}', 'UTF8')`;

const SIGNED_AT = Date.parse("2024-06-09T21:00:00Z");

function signerOf(sample: Sample, kid: string) {
  const { privateKey, publicRaw } = sample.keys.get(kid) as { privateKey: KeyObject; publicRaw: Uint8Array };
  return { publicRaw, sign: (text: Uint8Array) => sign(null, text, privateKey) };
}

/** A signed checkpoint of any root, by the log's key and under its origin unless others are named. */
export function noteOf(
  sample: Sample,
  size: number,
  root: Uint8Array,
  kid = "ledger-1",
  origin = sample.definition.origin,
): Promise<string> {
  return signCheckpoint({ origin, size, root, ...signerOf(sample, kid) });
}

/** A witness' line below the checkpoint of this size and root. */
export function lineOf(sample: Sample, witness: string, size: number, root: Uint8Array): Promise<string> {
  const { publicRaw, sign: signText } = signerOf(sample, witness);
  const text = checkpointText(sample.definition.origin, size, root);
  return cosign(text, { name: witness, raw: publicRaw, seconds: 1_718_000_000, sign: signText });
}

/** The database of a log, in memory. What lies in it may be changed; `asked` counts what was read. */
export interface MemoryLog {
  sources: LogSources;
  bodies: Uint8Array[];
  leaves: Uint8Array[];
  checkpoints: Map<number, CheckpointRow>;
  asked: Record<"leaves" | "bodies" | "checkpoints", number>;
  incidents: { code: string; about?: string }[];
  lines: LogLine[];
  /** While set, every read rejects with it. */
  away: Error | undefined;
  /** Appends up to this size, with a checkpoint there; `seconds` after the first one was signed. Answers the root. `by`: not the definition's. */
  grow(size: number, seconds?: number, by?: { origin: string; kid: string }): Promise<Uint8Array>;
  /** Lays lines of these witnesses beside the checkpoint of a size. */
  cosign(size: number, ...witnesses: string[]): Promise<void>;
  rootOf(size: number): Uint8Array;
}

export function memoryLog(sample: Sample): MemoryLog {
  const { log, lines } = createHeardLog();
  const frontier = createFrontier();
  const roots = new Map<number, Uint8Array>();
  let head: number | undefined;
  const read = <T>(what: keyof MemoryLog["asked"], value: () => T) => {
    if (memory.away !== undefined) return Promise.reject(memory.away);
    memory.asked[what] += 1;
    return Promise.resolve(value());
  };
  const rowOf = (size: number) => memory.checkpoints.get(size);
  const between = (from: number, to: number) =>
    [...memory.checkpoints.values()].filter(({ size }) => size >= from && size <= to).sort((a, b) => b.size - a.size);

  const memory: MemoryLog = {
    sources: {
      selectHead: () => read("checkpoints", () => (head === undefined ? undefined : rowOf(head))),
      selectCheckpoint: (size) => read("checkpoints", () => rowOf(size)),
      selectCosigned: (from, to, quorum) =>
        read("checkpoints", () => between(from, to).filter((row) => row.lines.length >= quorum)),
      hasCheckpoint: (from, to) => read("checkpoints", () => between(from, to).length > 0),
      selectLeaves: (from, to) => read("leaves", () => Buffer.concat(memory.leaves.slice(from, to))),
      selectBodies: (from, to) => read("bodies", () => memory.bodies.slice(from, to)),
      authorities: () => [authorityOfDefinition(sample.definition)],
      witnesses: witnessesOf(sample.definition),
      raise: async (incident) => void memory.incidents.push(incident),
      log,
    },
    bodies: [],
    leaves: [],
    checkpoints: new Map(),
    asked: { leaves: 0, bodies: 0, checkpoints: 0 },
    incidents: [],
    lines,
    away: undefined,
    async grow(size, seconds = 0, by) {
      for (let index = memory.bodies.length; index < size; index++) {
        const body = bodyOf(index);
        memory.bodies.push(body);
        memory.leaves.push(leafHash(body));
        appendLeaf(frontier, memory.leaves[index] as Uint8Array);
      }
      const root = frontierRoot(frontier);
      roots.set(size, root);
      const signedAt = new Date(SIGNED_AT + seconds * 1000);
      memory.checkpoints.set(size, {
        size,
        note: await noteOf(sample, size, root, by?.kid, by?.origin),
        signedAt,
        lines: [],
      });
      head = size;
      return root;
    },
    async cosign(size, ...witnesses) {
      for (const witness of witnesses)
        rowOf(size)?.lines.push(await lineOf(sample, witness, size, memory.rootOf(size)));
    },
    rootOf: (size) => roots.get(size) as Uint8Array,
  };
  return memory;
}
