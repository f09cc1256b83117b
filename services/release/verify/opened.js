/**
 * What opens with the lift: the statement that an office signed, and the verdict about it. The entry has named the hash of both since they
 * came, so neither can be another one.
 */

import { sha256, textOf, toHex, utf8 } from "./bytes.js";
import { isObject, parseStrict } from "./json.js";
import { readStatement, verifySignatures } from "./statement.js";
import { broken, holds, keptBack, pending } from "./states.js";

/** Judgements in one file of the log. */
const BUNDLE = 256;

/** The statement's bytes are those of the entry, the keys of the definition have signed them, and they say what the entry says. */
export async function statementCheck({ entry, definition }, { get, nacl }) {
  if (entry.type === "definition") return definitionEntry(entry, definition);
  const answer = await get(`/statements/${entry.statement}`);
  if (answer.code === "statement.unknown")
    return broken("The log has received this statement, and the server says that there is none.");
  if (answer.status !== 200) return keptBack(answer);
  if (toHex(await sha256(answer.bytes)) !== entry.statement)
    return broken("What the server gave is not the statement: it has another SHA-256 than the entry names.");
  return readOpened(answer.bytes, entry, definition, nacl);
}

function definitionEntry(entry, definition) {
  if (entry.definition !== definition.hash) return broken("This log is about another definition.");
  return holds("It is the definition itself, with which the log begins.");
}

/** The line about bytes that are known to be those of the entry. */
function readOpened(bytes, entry, definition, nacl) {
  const opened = readStatement(bytes);
  if (opened === undefined)
    return broken("These are the bytes that the log received, but no statement that can be read.");
  const { statement, text } = opened;
  const signers = verifySignatures(opened, definition.keys, nacl);
  const seen = {
    facts: [...factsOf(statement), ...signers.map(({ kid, who, state }) => ["signature", `${kid} (${who}): ${state}`])],
    table: Array.isArray(statement.tallies) ? tableOf(statement.tallies, definition.listNames) : undefined,
    text: { label: "The signed text", value: text },
  };
  if (statement.definition !== definition.hash) return broken("It was signed for another election.", seen);
  if (!agrees(opened, entry)) return broken("It says something else than the entry says of it.", seen);
  const names = signers.map(({ who }) => who).join(" and ");
  if (signers.some(({ state }) => state === "broken"))
    return broken("A signature does not verify, or its key may not say this.", seen);
  if (signers.some(({ state }) => state === "unknown"))
    return pending(
      "These are the bytes that the log received. They are signed with a key that came by way of the log, which this page does not follow; the audit does.",
      seen,
    );
  return holds(`These are the bytes that the log received, signed by ${names}.`, seen);
}

/** Whether a statement is the one that its entry describes. */
export function agrees({ statement, signatures }, entry) {
  const { type, state, sequence, tallies } = statement;
  const units = type === "tally" && Array.isArray(tallies) ? tallies.length : 0;
  const same = type === entry.type && state === entry.state && sequence === entry.sequence && units === entry.units;
  return same && signatures[0].kid === entry.key;
}

/** Everything that is not a table of its own. */
function factsOf({ tallies, ...others }) {
  return Object.entries(others).map(([name, value]) => [name, plain(value)]);
}

const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

const FIGURES = ["unit", "version", "status", "electors", "ballots", "blank", "invalid"];

function tableOf(tallies, listNames) {
  const votesOf = (votes) =>
    Object.entries(isObject(votes) ? votes : {}).map(
      ([list, count]) => `${listNames.has(list) ? `${list} (${listNames.get(list)})` : list}: ${plain(count)}`,
    );
  const rows = tallies
    .filter(isObject)
    .map((tally) =>
      [...FIGURES.map((name) => plain(tally[name])), votesOf(tally.votes).join(", "), tally.reason ?? ""].map(plain),
    );
  return { caption: "Tallies", columns: [...FIGURES, "votes", "reason"], rows };
}

/** The verdict and its codes, whose hash the entry has held from the start. */
export async function verdictCheck({ entry }, { get }) {
  if (entry.type === "definition") return holds("The definition is not judged: it is what verdicts are made by.");
  const answer = await get(`/log/judgements/${Math.floor(entry.index / BUNDLE)}`);
  if (answer.status !== 200) return keptBack(answer);
  const line = (textOf(answer.bytes) ?? "").split("\n")[entry.index % BUNDLE];
  if (line === undefined || line === "" || line === "null") return keptBack({ code: missingCode(line) });
  if (toHex(await sha256(utf8(line))) !== entry.judgement)
    return broken("What the server gave is not the verdict to which the entry was bound when it came.");
  const { verdict, findings } = parseStrict(line) ?? {};
  if (!["accepted", "quarantined"].includes(verdict) || !Array.isArray(findings))
    return broken("The entry was bound to something that is no verdict.");
  const facts = findings
    .filter(isObject)
    .map(({ code, unit }) => ["code", unit === undefined ? plain(code) : `${plain(code)}, unit ${plain(unit)}`]);
  const meaning = verdict === "accepted" ? "it was accepted" : "it was quarantined, and counts for nothing";
  return holds(`The ledger decided, bound by the entry ever since: ${meaning}.`, { facts });
}

/** The file ends before this entry until a release counts it; a state that is held has `null` in its places. */
const missingCode = (line) => (line === "null" ? "statement.withheld" : "statement.not-released");
