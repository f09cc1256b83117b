import { PROBLEMS, type ProblemCode } from "../../shared/statement/problems.ts";

/** How a command ends. `refused`: something is wrong with what was given, and nothing was sent. `silent`: the door did not answer; running it again is safe. */
export const EXIT = { done: 0, refused: 1, usage: 2, silent: 3 } as const;

/** What this tool itself refuses, as a closed catalogue: how the command ends, and what to do. */
export const CODES = {
  "command.wrong": { exit: EXIT.usage, todo: "npm run office -- --help says what there is." },
  "file.unreadable": { exit: EXIT.usage, todo: "Correct the path or the rights." },
  "file.exists": { exit: EXIT.usage, todo: "Nothing is ever overwritten: give another name." },
  "file.unwritable": { exit: EXIT.usage, todo: "Correct the path or the rights." },
  "office.missing": {
    exit: EXIT.usage,
    todo: "Give the office's folder with --office, or make one with keygen and enrol.",
  },
  "office.malformed": { exit: EXIT.usage, todo: "Enrol again into a new folder; keys can be copied there." },
  "definition.refused": {
    exit: EXIT.usage,
    todo: "Give the definition, its signatures and the authority's keys, as they were handed out.",
  },
  "key.missing": { exit: EXIT.usage, todo: "keygen makes one; --key names one of several." },
  "key.exposed": { exit: EXIT.usage, todo: "If others could read it, tell the authority: the key is not yours alone." },
  "key.malformed": { exit: EXIT.usage, todo: "Give the file that keygen made." },
  "key.not-enrolled": { exit: EXIT.refused, todo: "Send the request that keygen made to the authority, or enrol it." },
  "passphrase.wrong": {
    exit: EXIT.refused,
    todo: "Type it again. Without it the key cannot be used: make a new one and enrol that.",
  },
  "passphrase.missing": {
    exit: EXIT.usage,
    todo: "Give SCRUTIN_OFFICE_PASSPHRASE_FILE, or run it on a terminal that can ask.",
  },
  "passphrase.weak": { exit: EXIT.usage, todo: "Take four words that nobody would guess together." },
  "enrolment.live": {
    exit: EXIT.refused,
    todo: "Send them the request that keygen made; npm run trustee -- key enrol --request signs it.",
  },
  "enrolment.wrong": { exit: EXIT.refused, todo: "Ask the authority for the decision about your request." },
  "enrolment.refused": {
    exit: EXIT.refused,
    todo: "If the key is enrolled already, go on with it; else make a new key.",
  },
  "mapping.missing": {
    exit: EXIT.usage,
    todo: "Give --map with a mapping; `map FILE` drafts one, and services/office/examples has three.",
  },
  "mapping.malformed": { exit: EXIT.usage, todo: "Compare it with services/office/examples." },
  "file.other-format": { exit: EXIT.refused, todo: "Save the table as CSV in UTF-8, and give that." },
  "file.changed": { exit: EXIT.refused, todo: "Let nobody write to it, and look at what `status` says was signed." },
  "check.failed": { exit: EXIT.refused, todo: "Correct the file; or sign the rows that hold with --only-good." },
  "spool.malformed": {
    exit: EXIT.refused,
    todo: "Nothing is sent from it. Put the file back as it was, from a copy of the office's folder.",
  },
  "confirmation.missing": { exit: EXIT.refused, todo: "Nothing was signed." },
  "door.insecure": {
    exit: EXIT.usage,
    todo: "Give an https:// address whose pin the definition names; http:// is for this machine only.",
  },
  "door.wrong": {
    exit: EXIT.refused,
    todo: "Somebody else answers there, or the door has a key that the definition does not name: tell the operators.",
  },
  "door.silent": { exit: EXIT.silent, todo: "Run the same command again: the same bytes are never counted twice." },
  "receipt.missing": { exit: EXIT.refused, todo: "submit sends what waits; status says what has an answer." },
  "proof.wrong": {
    exit: EXIT.refused,
    todo: "Keep the receipt, try again in a moment, and if it stays so tell the operators and a witness: the log owes you this entry.",
  },
  "signer.already": { exit: EXIT.refused, todo: "Let another official cosign it, with --key." },
  "signer.same-person": {
    exit: EXIT.refused,
    todo: "Two keys of one person count once: let another official cosign it.",
  },
  "receipt.wrong": {
    exit: EXIT.silent,
    todo: "Do not rely on this answer. Look for the entry in the public log, and tell the operators.",
  },
} as const satisfies Record<string, { exit: number; todo: string }>;

export type Code = keyof typeof CODES;

/** Ends the command with a stable code, a sentence, and what to do. A code of the door's stands for what the door would answer. */
export class Refusal extends Error {
  readonly code: Code | ProblemCode;
  readonly exit: number;
  readonly todo: string;
  constructor(code: Code | ProblemCode, sentence: string) {
    super(sentence);
    const { exit, todo } = isOwn(code) ? CODES[code] : { exit: EXIT.refused, todo: PROBLEMS[code].todo };
    this.code = code;
    this.exit = exit;
    this.todo = todo;
  }

  /** As `code: sentence to do`. */
  get text(): string {
    return `${this.code}: ${this.message} ${this.todo}`;
  }
}

const isOwn = (code: string): code is Code => Object.hasOwn(CODES, code);
