/**
 * The release that counts the log up to this entry or further: its document, its own entry in the log, the signatures of both counts over
 * that, and that the prefix which it counts is one of the log above. Whether all releases follow each other is for the audit.
 */

import { fromBase64, sha256, textOf, toHex } from "./bytes.js";
import { isObject, parseStrict } from "./json.js";
import { HASH_BYTES, leafHash, verifyInclusion } from "./merkle.js";
import { readCheckpoint } from "./note.js";
import { agrees } from "./opened.js";
import { readEntry, readProof } from "./proof.js";
import { readStatement, verifySignatures } from "./statement.js";
import { broken, holds, keptBack, pending } from "./states.js";
import { isSameLog } from "./tiles.js";

/** Both counts sign a release. */
const SIGNERS = 2;

const jsonOf = ({ bytes }) => parseStrict(textOf(bytes) ?? "");
const hashOf = async ({ bytes }) => toHex(await sha256(bytes));
const isCount = (value) => Number.isSafeInteger(value) && value > 0;

export async function releaseCheck({ entry, definition, log }, { get, nacl }) {
  const listing = await get("/v1/releases");
  if (listing.status !== 200) return keptBack(listing);
  const listed = jsonOf(listing)?.releases;
  if (!Array.isArray(listed) || !listed.every((one) => isObject(one) && isCount(one.number) && isCount(one.size)))
    return broken("What the server gave as the list of releases is none.");
  const counting = listed.filter(({ size }) => size > entry.index).sort((a, b) => a.number - b.number)[0];
  if (counting === undefined) return pending("No release counts the log up to this entry yet.");
  const { number } = counting;
  const announced = await announcement(number, { definition, log }, { get, nacl });
  if (announced.state !== undefined) return announced;
  const { size, root, release: hash } = announced;
  if (size <= entry.index) return broken(`Release ${number} counts less of the log than the server's list says.`);
  if (root?.length !== HASH_BYTES || !(await isSameLog({ size, root }, log, get)))
    return broken(`Release ${number} counts another log than this one.`);
  const answer = await get(`/v1/releases/${number}`);
  if (answer.status !== 200) return keptBack(answer);
  if ((await hashOf(answer)) !== hash)
    return broken(`What the server gives as release ${number} is not the document that the log names.`);
  return described(jsonOf(answer), { number, size, hash });
}

/**
 * What both counts have signed of a release, by the log: `{size, root, release}` of its statement, which its entry names, which a signed
 * checkpoint holds. Or the line that says why not.
 */
async function announcement(number, { definition, log }, { get, nacl }) {
  const answer = await get(`/v1/releases/${number}/proof`);
  if (answer.status !== 200) return pending(`Release ${number} has no proof in the log yet. Try again in a moment.`);
  const { why, ...proof } = readProof(textOf(answer.bytes) ?? "");
  if (why !== undefined || proof.extra === undefined) return broken(`The proof of release ${number} cannot be read.`);
  const terms = { origin: definition.origin, publicKey: definition.ledgerKey, nacl };
  const { why: unsigned, ...checkpoint } = await readCheckpoint(proof.checkpoint, terms);
  if (unsigned !== undefined) return broken(`The proof of release ${number} is not of this log: ${unsigned}.`);
  const { index, hashes, extra } = proof;
  const claim = { leaf: await leafHash(extra), index, size: checkpoint.size, proof: hashes, root: checkpoint.root };
  const entry = readEntry(extra);
  if (!(await verifyInclusion(claim)) || entry?.index !== index || entry.type !== "release")
    return broken(`The proof of release ${number} does not show it in the log.`);
  if (!(await isSameLog(checkpoint, log, get))) return broken(`Release ${number} is in another log than this one.`);
  return signedStatement(number, entry, definition, { get, nacl });
}

async function signedStatement(number, entry, definition, { get, nacl }) {
  const answer = await get(`/statements/${entry.statement}`);
  if (answer.status !== 200) return keptBack(answer);
  const opened = (await hashOf(answer)) === entry.statement ? readStatement(answer.bytes) : undefined;
  const { statement } = opened ?? {};
  if (statement === undefined || !agrees(opened, entry) || statement.definition !== definition.hash)
    return broken(`What the server gave is not what the log has about release ${number}.`);
  const signers = verifySignatures(opened, definition.keys, nacl);
  const roles = new Set(signers.map(({ kid }) => definition.keys.get(kid)?.role));
  if (!signers.every(({ state }) => state === "holds") || roles.size !== SIGNERS)
    return broken(`Release ${number} lacks a valid signature of one of the two counts.`);
  if (statement.number !== number || !isCount(statement.size) || typeof statement.root !== "string")
    return broken(`What the counts have signed as release ${number} is another one.`);
  return { size: statement.size, root: fromBase64(statement.root), release: statement.release };
}

/** The document's hash is signed: what remains is to say what it is. */
function described(document, { number, size, hash }) {
  if (!isObject(document) || document.number !== number)
    return broken(`Release ${number} says another number of itself.`);
  const { mode, status, asOf } = document;
  return holds(
    `Release ${number} counts the first ${size.toLocaleString("en")} entries of the log, this one among them. Both counts have signed it, and the log holds that. (What was quarantined counts for nothing; of a unit, the highest version counts.)`,
    {
      facts: [
        ["Release", `${number}${mode === "exercise" ? " of an EXERCISE" : ""}`],
        ["Status", String(status)],
        ["As of", String(asOf)],
        ["SHA-256", hash],
        ["Address", `/v1/releases/${number}`],
      ],
    },
  );
}
