import { VERDICT_CODES, type VerdictCode } from "../../shared/ledger/codes.ts";
import { PROBLEMS, type ProblemCode } from "../../shared/statement/problems.ts";

/** How the command ends. `silent`: nothing is known of what was sent; sending the same file again is safe. */
export const EXIT = { done: 0, refused: 1, usage: 2, silent: 3 } as const;

/**
 * What this tool itself refuses, as a closed catalogue: how the command ends, and what to do. What the door or the ledger would refuse has
 * their code (`shared/statement/problems.ts`, `shared/ledger/codes.ts`).
 */
export const CODES = {
  "command.wrong": { exit: EXIT.usage, todo: "npm run trustee -- --help says what there is." },
  "file.unreadable": { exit: EXIT.usage, todo: "Correct the path or the rights." },
  "file.exists": { exit: EXIT.usage, todo: "Nothing is ever overwritten: give another name." },
  "file.unwritable": { exit: EXIT.usage, todo: "Correct the path or the rights. Nothing was signed or sent." },
  "key.exposed": {
    exit: EXIT.usage,
    todo: "If others could read it, tell the other trustees: the key is not yours alone.",
  },
  "key.malformed": { exit: EXIT.usage, todo: "Give the file that `key new` made." },
  "key.not-of-definition": {
    exit: EXIT.usage,
    todo: "Give the key whose public half the definition names, or the definition of this election.",
  },
  "definition.refused": {
    exit: EXIT.usage,
    todo: "Give the definition, its signatures and the authority's keys, as they were handed out.",
  },
  "sequence.taken": {
    exit: EXIT.usage,
    todo: "Leave --sequence out, or give a number that this key has never signed under.",
  },
  "decision.impossible": { exit: EXIT.usage, todo: "Compare it with the definition." },
  "decision.not-trustees": { exit: EXIT.refused, todo: "Do not sign it. Ask whoever gave you this file." },
  "decision.other-definition": {
    exit: EXIT.refused,
    todo: "Do not sign it. Give the definition of this election, or ask for the right file.",
  },
  "decision.unfinished": { exit: EXIT.refused, todo: "Let the others cosign the file first." },
  "decision.at-start": {
    exit: EXIT.refused,
    todo: "Give the file to whoever starts the ledger; see infra/runbook.md.",
  },
  "request.wrong": { exit: EXIT.refused, todo: "Ask the office for the file that keygen made; nothing was signed." },
  "signer.already": { exit: EXIT.refused, todo: "Let another trustee cosign it." },
  "signer.same-person": {
    exit: EXIT.refused,
    todo: "Two keys of one person count once: let another trustee cosign it.",
  },
  "signer.own-suspension": { exit: EXIT.refused, todo: "Let the two other trustees decide." },
  "signer.enough": { exit: EXIT.refused, todo: "Submit the file." },
  "confirmation.missing": { exit: EXIT.refused, todo: "Nothing was signed." },
  "door.insecure": {
    exit: EXIT.usage,
    todo: "Give an https:// address whose pin the definition names; http:// is for this machine only.",
  },
  "door.wrong": {
    exit: EXIT.refused,
    todo: "Somebody else answers there, or the door has a key that the definition does not name: tell the operators.",
  },
  "door.silent": { exit: EXIT.silent, todo: "Submit the same file again: the same bytes are never counted twice." },
  "receipt.wrong": {
    exit: EXIT.silent,
    todo: "Do not rely on this answer. Look for the entry in the public log, and tell the operators. After a new origin give the ledger's new key: --ledger-key ID=KEY.",
  },
  "share.refused": { exit: EXIT.refused, todo: "Nothing was written." },
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

/** What the door would answer, found before anything is signed or sent. */
export function doorWouldRefuse(code: ProblemCode, detail?: string): Refusal {
  const { title } = PROBLEMS[code];
  return new Refusal(code, detail === undefined ? title : `${title} ${detail}`);
}

/** What a code of the ledger's or the door's means and asks for; a code that is in no catalogue stands for itself. */
export function meaningOf(code: string): { means: string; todo: string } {
  if (Object.hasOwn(VERDICT_CODES, code)) return VERDICT_CODES[code as VerdictCode];
  if (!Object.hasOwn(PROBLEMS, code))
    return { means: "This tool does not know this code.", todo: "See /v1/codes at the door." };
  const { title, todo } = PROBLEMS[code as ProblemCode];
  return { means: title, todo };
}
