import type { Definition, Key } from "../../shared/definition/schema.ts";
import { printable, quoted, type Style } from "../../shared/platform/terminal.ts";
import type { Decision, DecisionFile } from "./decision-file.ts";
import { missingFrom } from "./decision-file.ts";
import type { Election } from "./definition.ts";

/** A decision in plain words, for the person who is asked to sign it: never more, never less than what the signed bytes say. */

/** The whole text: which election, what is decided and why, who signed, who is missing. Lines end in a newline. */
export function explain(
  { definition, hash }: Election,
  { decision, signers }: Omit<DecisionFile, "bytes" | "envelope">,
  style: Style,
): string {
  const mode = definition.mode === "live" ? "LIVE ELECTION" : "EXERCISE";
  const reason = "reason" in decision ? [`Reason    ${quoted(decision.reason)}`] : [];
  const missing = missingFrom(decision, signers);
  return [
    `${style.strong(mode)}  ${printable(definition.title)}`,
    `Definition ${hash}`,
    "",
    style.strong(titleOf(decision)),
    ...meaningOf(decision, definition).map((sentence) => `  ${sentence}`),
    "",
    ...reason,
    `Issued    ${decision.issued}, by the clock of whoever wrote it`,
    `Number    ${decision.sequence} of the key ${signers[0]?.id ?? "that signs first"}`,
    ...signers.map((key) => `Signed    ${nameOf(key)}; the signature holds`),
    missing.length > 0 ? `Missing   ${missing.join(", and ")}` : `Complete  ${nextStep(decision)}`,
    "",
  ].join("\n");
}

/** What is done with it once nobody is missing. */
function nextStep(decision: Decision): string {
  const what = decision.type === "decision" ? decision.decision : decision.change;
  if (what === "origin") return "it is given to the ledger at its start, as SCRUTIN_ORIGIN_DECISION";
  if (what === "recover")
    return "it is given to the ledger at its start, as SCRUTIN_RECOVERY_DECISION; a ledger that still runs takes it by submit";
  return "it can be submitted";
}

/** A signer in words. */
function nameOf(key: Key): string {
  if (key.role === "trustee") return `${printable(key.person)} (${key.id})`;
  return key.role === "office" ? `the new key ${key.id}` : key.id;
}

/** What is decided, in a line. */
export function titleOf(decision: Decision): string {
  if (decision.type === "key") {
    if (decision.change === "enrol") return `key enrol ${decision.key.id}`;
    return decision.change === "revoke" ? `key revoke ${decision.revokes}` : `key rotate ${decision.replaces}`;
  }
  switch (decision.decision) {
    case "hold":
    case "resume":
    case "override":
      return `${decision.decision} ${decision.about}`;
    case "void":
      return `void ${decision.about}, entry ${decision.entry}`;
    case "suspend":
      return `suspend ${decision.trustee}`;
    case "draw":
      return `draw ${printable(decision.constituency)}`;
    case "origin":
      return `origin ${decision.origin}`;
    case "recover":
      return "recover";
  }
}

function meaningOf(decision: Decision, definition: Definition): string[] {
  return decision.type === "key" ? keyMeaning(decision, definition) : decisionMeaning(decision, definition);
}

function keyMeaning(decision: Extract<Decision, { type: "key" }>, definition: Definition): string[] {
  const ownerOf = (id: string) => {
    const key = definition.keys.find((known) => known.id === id);
    return key?.role === "office" ? `, of ${printable(key.official)} in ${stateName(definition, key.state)},` : "";
  };
  if (decision.change === "rotate") return ["It rotates a key, which is the office's to do and not trustees'."];
  if (decision.change === "revoke")
    return [
      `The key ${decision.revokes}${ownerOf(decision.revokes)} signs no more, for good.`,
      `Of what it signed and the log received after ${decision.since}, figures, seats and declarations count for nothing until they are signed anew.`,
      "A closure, an extension or a void that it signed stands. Was one of them not the office's: hold EU. A closure is taken back by an",
      "extension that the office signs with another key; an extension is voided by two trustees.",
    ];
  const { id, publicKey, state, official, backup } = decision.key;
  return [
    `A new ${backup ? "back-up key" : "key"}, ${id}, signs for ${stateName(definition, state)}.`,
    `Its holder: ${quoted(official)}`,
    `Its public half: ${publicKey}. Compare it with what that office told you by another way.`,
  ];
}

function decisionMeaning(decision: Extract<Decision, { type: "decision" }>, definition: Definition): string[] {
  const about = "about" in decision ? stateName(definition, decision.about) : "";
  switch (decision.decision) {
    case "hold":
      return decision.about === "EU"
        ? ["Nothing is published: the gate stays shut until two trustees resume. One trustee is enough."]
        : [
            `The results of ${about} are withheld and left out of every total until two trustees resume. One trustee is enough.`,
          ];
    case "resume":
      return [
        `The hold on ${about} ends.`,
        ...(decision.about === "EU" ? ["The gate opens as soon as nothing else stands against it."] : []),
      ];
    case "override":
      return [
        `${about} has not signed that its polls are closed. The gate may open without it.`,
        `By the definition its last polls close at ${lastCloseOf(definition, decision.about)}. Be sure that they are closed: this cannot be undone.`,
      ];
    case "void":
      return [
        `The extension of polls that entry ${decision.entry} of the log gave to ${about} counts no more; the close never falls below the definition's.`,
        `${about} must sign its closure again if it had, or be overridden.`,
      ];
    case "suspend":
      return [
        `${personOf(definition, decision.trustee)} signs no more, from the entry of this decision on.`,
        "What that key signed before stays: a hold that it gave is still in force.",
      ];
    case "recover":
      return [
        "The vault's key is lost. Its processes go on with the recovery key, which two trustees' shares rebuild.",
        "The file is given to the ledger at its start, together with that key.",
      ];
    case "origin":
      return [
        `The log goes on as ${decision.origin} under the ledger's new key ${decision.key.id}, behind ${decision.size} entries.`,
        `Their root: ${quoted(decision.root)}`,
        `The new key's public half: ${decision.key.publicKey}. The file is given to the ledger at its start.`,
      ];
    case "draw":
      return [
        `A tie in ${quoted(decision.constituency)} (within ${quoted(decision.within)}) was drawn by lot, in this order:`,
        ...decision.order.map((contender, n) => `${n + 1}. ${quoted(contender)}`),
      ];
  }
}

function stateName({ states }: Definition, id: string): string {
  if (id === "EU") return "the Union";
  const state = states.find((known) => known.id === id);
  return state === undefined ? `${id} (not in the definition)` : `${printable(state.name)} (${id})`;
}

function personOf({ keys }: Definition, kid: string): string {
  const key = keys.find(({ id }) => id === kid);
  return key?.role === "trustee" ? `${printable(key.person)} (${kid})` : `${kid} (no trustee of the definition)`;
}

function lastCloseOf({ states }: Definition, id: string): string {
  const closings = states.find((state) => state.id === id)?.closings.filter(({ counts }) => counts) ?? [];
  return (
    closings
      .map(({ utc }) => new Date(utc).toISOString())
      .sort()
      .at(-1) ?? "no time that it names"
  );
}
