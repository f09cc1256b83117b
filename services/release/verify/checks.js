/**
 * The checks, in the order in which the page shows them. Each looks at what the ones before it have established (`found`) and asks the server
 * for files, but never for a verdict: what it answers is hashed and verified here. A check says what it found in a sentence and a state.
 */

import { sha256, textOf, toHex } from "./bytes.js";
import { readDefinition } from "./definition.js";
import { leafHash, verifyInclusion } from "./merkle.js";
import { readCheckpoint, verifierKey, verifyCosignatures } from "./note.js";
import { statementCheck, verdictCheck } from "./opened.js";
import { readEntry, readProof } from "./proof.js";
import { releaseCheck } from "./release.js";
import { broken, HOLDS, holds, PENDING, pending, Unreachable } from "./states.js";
import { isSameLog, TileMissing } from "./tiles.js";

/** `needs`: what must have been established before; a check without it is not made. */
const CHECKS = [
  { title: "The definition", needs: [], check: definitionCheck },
  { title: "The proof", needs: [], check: proofCheck },
  { title: "The checkpoint", needs: ["definition", "proof"], check: checkpointCheck },
  { title: "The entry", needs: ["checkpoint"], check: entryCheck },
  { title: "The witnesses", needs: ["checkpoint"], check: witnessCheck },
  { title: "The log of today", needs: ["checkpoint"], check: presentCheck },
  { title: "The statement", needs: ["entry"], check: statementCheck },
  { title: "The verdict", needs: ["entry"], check: verdictCheck },
  { title: "The release", needs: ["entry", "log"], check: releaseCheck },
];

/**
 * Makes all checks about `asked`: `{file}`, the bytes of a proof file, or `{hash}`, the SHA-256 of a statement in hex. `get(path)` fetches from
 * the own origin: `{status, bytes, code}`, `code` being that of a refusal; it throws Unreachable. Yields `{title, state, sentence}`, with
 * `facts`, `table` and `text` where there is more to see, and `exercise` once the definition was read.
 */
export async function* runChecks(asked, { get, nacl }) {
  const found = { asked };
  for (const { title, needs, check } of CHECKS) {
    const missing = needs.some((what) => found[what] === undefined);
    const line = missing ? notMade : await attempt(() => check(found, { get, nacl }));
    yield { title, ...line, exercise: found.definition?.exercise };
  }
}

const notMade = pending("Not checked: it rests on a check above that does not hold, or was not possible.");

async function attempt(check) {
  try {
    return await check();
  } catch (error) {
    if (error instanceof TileMissing)
      return pending(
        "The server did not give the hashes of the log that this check is computed from. Try again in a moment.",
      );
    if (error instanceof Unreachable) return pending("The server did not answer. Try again in a moment.");
    throw error;
  }
}

/** One sentence over all lines: the first thing to hear, and the last. */
export function summaryOf(lines) {
  const titles = (state) => lines.filter((line) => line.state === state).map(({ title }) => title.toLowerCase());
  const [wrong, open] = [titles("does not hold"), titles(PENDING)];
  const held = lines.filter(({ state }) => state === HOLDS).length;
  const exercise = lines.some((line) => line.exercise) ? "EXERCISE, no real result. " : "";
  if (wrong.length > 0)
    return `${exercise}Does not hold: ${wrong.join(", ")}. Do not rely on it, and keep the file: it may be evidence.`;
  if (open.length === 0) return `${exercise}All ${held} checks hold.`;
  if (held === 0) return `${exercise}Nothing could be checked.`;
  return `${exercise}${held} of ${lines.length} checks hold. Not possible yet: ${open.join(", ")}.`;
}

async function definitionCheck(found, { get }) {
  const { status, bytes } = await get("/v1/definition");
  if (status !== 200)
    return pending("The server did not give the definition, and without its keys nothing can be verified.");
  const definition = readDefinition(bytes);
  if (definition === undefined) return broken("What the server gave as the definition is none.");
  const hash = toHex(await sha256(bytes));
  found.definition = { ...definition, hash };
  const { title, exercise, origin, ledgerKey, witnesses, quorum } = definition;
  return holds(
    "Everything below is verified under the keys that it names. This page cannot know whether it is the right one: compare its SHA-256 with what the election authority has published elsewhere.",
    {
      facts: [
        ["SHA-256", hash],
        ["Election", title],
        ["Mode", exercise ? "EXERCISE" : "live"],
        ["Key of the log", await verifierKey(origin, ledgerKey)],
        ["Witnesses", `${witnesses.length}, of which ${quorum} must cosign`],
      ],
    },
  );
}

async function proofCheck(found, { get }) {
  const { file, hash } = found.asked;
  const text = file === undefined ? await fetchProof(hash, get) : readText(file);
  if (typeof text !== "string") return text;
  const { why, ...proof } = readProof(text);
  if (why !== undefined) return broken(`This is not a proof that can be read: ${why}.`);
  found.proof = proof;
  return holds(`It is well formed, and says that something is entry ${proof.index} of a log.`);
}

async function fetchProof(hash, get) {
  const { status, bytes } = await get(`/v1/proofs/${hash}`);
  if (status === 404)
    return broken(
      "The server says that the log has no statement with this SHA-256. Was it copied whole? Whoever holds a receipt for it holds the proof that it was received.",
    );
  if (status !== 200) return pending("The server gave no proof. Try again in a moment.");
  return readText(bytes);
}

const readText = (bytes) => textOf(bytes) ?? broken("This is not a proof that can be read: it is no text.");

/**
 * Two trustees may let the log go on under another origin and key. That they did so stands in an entry that this page does not look for, so it
 * cannot know the key; a checkpoint of the origin that is shown today is told from one of a foreign log all the same.
 */
const MOVED = pending(
  "The log goes on under another origin than the definition names, and so under another key. Two trustees can decide that, and the audit follows their decision (npm run audit); this page does not.",
);

async function checkpointCheck(found, { get, nacl }) {
  const { origin, ledgerKey } = found.definition;
  const terms = { origin, publicKey: ledgerKey, nacl };
  const { why, elsewhere, ...checkpoint } = await readCheckpoint(found.proof.checkpoint, terms);
  if (elsewhere !== undefined && elsewhere === (await presentOrigin(get))) return MOVED;
  if (why !== undefined) return broken(`The proof's checkpoint is not the log's: ${why}.`);
  found.checkpoint = checkpoint;
  const size = checkpoint.size.toLocaleString("en");
  return holds(`The ledger has signed that its log had ${size} entries, and what they were.`);
}

async function presentOrigin(get) {
  const { status, bytes } = await get("/log/checkpoint");
  return status === 200 ? textOf(bytes)?.split("\n")[0] : undefined;
}

async function entryCheck(found) {
  const { proof, checkpoint, asked } = found;
  const { extra, index, hashes } = proof;
  if (extra === undefined) return broken("The proof does not carry the entry that it is about.");
  const claim = { leaf: await leafHash(extra), index, size: checkpoint.size, proof: hashes, root: checkpoint.root };
  if (!(await verifyInclusion(claim)))
    return broken(
      "The hashes of the proof do not lead from the entry to the checkpoint: this entry is not in that log, or not there.",
    );
  const entry = readEntry(extra);
  if (entry?.index !== index) return broken(`The log has this as entry ${index}, but it is not what a ledger writes.`);
  if (asked.hash !== undefined && entry.statement !== asked.hash)
    return broken("The server gave the proof of another statement than the one that was asked for.");
  found.entry = entry;
  const what = entry.type === "definition" ? "the definition" : `a statement of type ${entry.type} from ${entry.state}`;
  const facts = Object.entries(entry).map(([name, value]) => [
    name,
    typeof value === "object" ? JSON.stringify(value) : value,
  ]);
  return holds(`The log holds it as entry ${index}: ${what}, received ${entry.received}.`, { facts });
}

async function witnessCheck(found, { nacl }) {
  const { witnesses, quorum } = found.definition;
  if (witnesses.length === 0)
    return pending("The definition names no witnesses: only the log itself says that it shows everyone the same.");
  const seen = await verifyCosignatures(found.checkpoint, witnesses, nacl);
  const cosigned = seen.filter(({ state }) => state === "cosigned").length;
  const facts = seen.map((witness, n) => [`${witness.name} (${witnesses[n].operator})`, cosignedAt(witness)]);
  const many = `${cosigned} of the ${witnesses.length} witnesses have cosigned this checkpoint`;
  if (seen.some(({ state }) => state === "broken"))
    return broken("A line in the name of a witness does not verify under its key.", { facts });
  if (cosigned < quorum)
    return pending(`${many}, and ${quorum} are needed. Ask for the proof anew in a few seconds.`, { facts });
  return holds(`${many}, and ${quorum} are needed: they have seen this log grow, and only grow.`, { facts });
}

function cosignedAt({ state, seconds }) {
  if (state !== "cosigned") return state === "absent" ? "has not cosigned" : "its line does not verify";
  const at = new Date(seconds * 1000);
  return `cosigned ${Number.isNaN(at.getTime()) ? `at second ${seconds}` : at.toISOString()}`;
}

/** A fork shows here: two heads, both signed with the log's key, of which neither is the beginning of the other. */
async function presentCheck(found, { get, nacl }) {
  const { definition, checkpoint } = found;
  const { status, bytes } = await get("/log/checkpoint");
  if (status !== 200) return pending("The server did not give the log's present checkpoint. Try again in a moment.");
  const note = textOf(bytes) ?? "";
  const text = { label: "The present checkpoint", value: note };
  const { origin, ledgerKey } = definition;
  const { why, elsewhere, ...present } = await readCheckpoint(note, { origin, publicKey: ledgerKey, nacl });
  if (elsewhere !== undefined) return { ...MOVED, text };
  if (why !== undefined) return broken(`The log's present checkpoint is not the log's: ${why}.`, { text });
  if (!(await isSameLog(checkpoint, present, get)))
    return broken(
      "The log that is shown today is not the one of the proof: the ledger has signed two histories, or the hashes that the server gives are not the log's. Keep the proof and the present checkpoint.",
      { text },
    );
  // Whatever else of the log comes up is compared with the longer one: it holds the proof's entry and all that is shown.
  found.log = checkpoint.size > present.size ? checkpoint : present;
  const [older, newer] = [checkpoint.size, present.size].map((size) => size.toLocaleString("en"));
  if (checkpoint.size > present.size)
    return holds(`The log of the proof (${older} entries) continues the one that is shown now (${newer}).`, { text });
  return holds(
    `The log of today has ${newer} entries, and begins with the ${older} of the proof: since then nothing in them was changed, added or taken out.`,
    { text },
  );
}
