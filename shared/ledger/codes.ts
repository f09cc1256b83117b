/**
 * The closed catalogue of everything that a verdict can say, in the spirit of Abacus' F and W rules: F quarantines the whole
 * statement, W stands beside it. Each says what it means and what the office does next.
 */
export const VERDICT_CODES = {
  "F.101": {
    name: "definition-other",
    means: "The statement was signed for another election or exercise.",
    todo: "Sign it again for the definition that this log serves.",
  },
  "F.102": {
    name: "equivocation",
    means: "This key has already used this sequence number for a different payload; the first one stands.",
    todo: "Find out who signed twice, then sign the right figures under a new sequence number.",
  },
  "F.103": {
    name: "signatures-missing",
    means: "Fewer officials signed than this state or this statement needs.",
    todo: "Sign it again under a new sequence number, with everyone who must.",
  },
  "F.104": {
    name: "signer-wrong",
    means: "This key may not say this.",
    todo: "Use a key whose role covers this type of statement.",
  },
  "F.105": {
    name: "key-ended",
    means: "This key had been replaced, revoked or suspended when the statement came.",
    todo: "Sign it again with a key that is in force, under a sequence number of that key.",
  },
  "F.201": {
    name: "unit-unknown",
    means: "The definition has no such unit.",
    todo: "Check the unit id against the definition.",
  },
  "F.202": {
    name: "unit-of-another-state",
    means: "The unit belongs to another state.",
    todo: "Report only units of your own state.",
  },
  "F.203": {
    name: "unit-twice",
    means: "The statement reports the same unit more than once.",
    todo: "Keep one tally per unit in a statement.",
  },
  "F.204": {
    name: "list-unknown",
    means: "Votes for a list that does not stand in the unit's constituency.",
    todo: "Check the list ids against the definition.",
  },
  "F.205": {
    name: "version-not-higher",
    means: "A tally of this unit with this version or a higher one has been accepted already.",
    todo: "Send a correction under the next version.",
  },
  "F.206": {
    name: "version-leaps",
    means: "The version is more than 100 ahead of the last accepted one.",
    todo: "Use the next version number.",
  },
  "F.207": {
    name: "polls-open",
    means: "Figures, or a declaration, came before the state's own polls closed.",
    todo: "Sign it again under a new sequence number after the polls have closed; the same bytes get this same answer.",
  },
  "F.208": {
    name: "reason-missing",
    means: "A figure is lower than in the version before, and no reason is given.",
    todo: "Sign the correction again with its reason.",
  },
  "F.209": {
    name: "official-already",
    means: "The state's result has been declared official.",
    todo: "To change it, declare it final again by two officials, send the change, then declare it final and official anew.",
  },
  "F.301": {
    name: "sum-differs",
    means: "List votes, blank and invalid do not sum to the ballots.",
    todo: "Compare the protocol with what was entered.",
  },
  "F.302": {
    name: "votes-exceed",
    means: "There are more list votes than the valid ballots can hold.",
    todo: "Compare the protocol with what was entered.",
  },
  "F.303": {
    name: "ballots-above-electors",
    means: "More ballots than electors in a unit with a register of its own.",
    todo: "Check electors and ballots; columns may be swapped.",
  },
  "F.401": {
    name: "polls-not-yet",
    means: "The polls cannot be closed before their scheduled close.",
    todo: "Sign the closure again once the polls have closed.",
  },
  "F.402": {
    name: "extension-wrong",
    means:
      "An extension must move the close later, by at most 4 hours at a time, and be signed before the gate is open.",
    todo: "Sign an extension with a later instant, at most 4 hours ahead of the close in force.",
  },
  "F.403": {
    name: "constituency-unknown",
    means: "The state has no such constituency.",
    todo: "Check the constituency id against the definition.",
  },
  "F.404": {
    name: "seats-differ",
    means:
      "The declared seats do not add up to the seats of the constituency, or name a list that does not stand there.",
    todo: "Check the declared seats.",
  },
  "F.405": {
    name: "units-missing",
    means: "The state's units are not all in.",
    todo: "Report the missing units, then declare again.",
  },
  "F.406": {
    name: "sequence-used",
    means: "A sequence number that carries a statement cannot be voided.",
    todo: "Nothing: that statement is in the log.",
  },
  "F.407": {
    name: "sequence-voided",
    means: "This sequence number was voided.",
    todo: "Sign again under a new sequence number.",
  },
  "F.408": {
    name: "decision-pointless",
    means: "There is nothing that this decision could change.",
    todo: "Check the state of holds, closures and ties.",
  },
  "F.409": {
    name: "key-known",
    means: "This key id or public key is in use, or was; neither is ever used a second time.",
    todo: "Make a new key pair, give it a new id, and sign again.",
  },
  "F.410": {
    name: "possession-missing",
    means: "The new key did not sign.",
    todo: "Sign it again under a new sequence number, with the new key as well.",
  },
  "F.411": {
    name: "key-not-revocable",
    means: "There is no such key of an office, it is revoked from then on already, or that instant lies ahead.",
    todo: "Check the key id, and since when the key is to count for nothing.",
  },
  "F.412": {
    name: "key-weak",
    means: "The new public key is no usable Ed25519 key.",
    todo: "Make a new key pair with a current tool.",
  },
  "F.413": {
    name: "state-unknown",
    means: "The new key would speak for a state that the definition does not hold.",
    todo: "Check the state id against the definition.",
  },
  "F.414": {
    name: "final-missing",
    means: "The result was not declared final, or a tally or seats came after that declaration.",
    todo: "Declare it final by two officials, then official under a new sequence number.",
  },
  "F.501": {
    name: "gate-closed",
    means: "The gate is closed: it may not open yet, or the lift is not in the log.",
    todo: "Nothing: the vault asks again by itself.",
  },
  "F.502": { name: "gate-open", means: "The gate has been opened already.", todo: "Nothing." },
  "F.503": {
    name: "release-out-of-order",
    means: "The release does not follow the one before it.",
    todo: "Rebuild the release from the log.",
  },
  "W.201": {
    name: "ballots-above-electors",
    means: "More ballots than electors in a unit without a register of its own.",
    todo: "Nothing, if the protocol says so.",
  },
  "W.202": {
    name: "turnout-high",
    means: "Turnout is above the limit for this kind of unit.",
    todo: "Compare with the protocol.",
  },
  "W.203": {
    name: "blank-high",
    means: "The share of blank ballots is above the limit for this kind of unit.",
    todo: "Compare with the protocol.",
  },
  "W.204": {
    name: "invalid-high",
    means: "The share of invalid ballots is above the limit for this kind of unit.",
    todo: "Compare with the protocol.",
  },
  "W.205": { name: "no-votes", means: "The unit reports no votes at all.", todo: "Compare with the protocol." },
} as const satisfies Record<string, { name: string; means: string; todo: string }>;

export type VerdictCode = keyof typeof VERDICT_CODES;
