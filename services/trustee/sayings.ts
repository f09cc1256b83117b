import type { Definition } from "../../shared/definition/schema.ts";
import type { Saying } from "../../shared/platform/sign.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Decision } from "./decision-file.ts";
import { Refusal } from "./refusal.ts";

/** What a trustee says, before it is signed. */
export type TrusteeSaying = Extract<Saying, { type: "decision" | "key" }>;

/**
 * Throws a Refusal for what the definition shows to be impossible: a mistyped state must not cost a signature, nor be found by the second
 * trustee. Whether it changes anything is the ledger's to judge, which knows the log.
 */
export function checkSaying({ states, keys }: Definition, saying: TrusteeSaying): void {
  const impossible = (sentence: string) => new Refusal("decision.impossible", sentence);
  const knowState = (id: string) => {
    if (!states.some((state) => state.id === id)) throw impossible(`The definition has no state ${id}.`);
  };
  if (saying.type === "key") {
    if (saying.change !== "enrol") return;
    knowState(saying.key.state);
    const { id, publicKey } = saying.key;
    if (keys.some((key) => key.id === id || key.publicKey === publicKey))
      throw impossible(`The definition has the key ${id} already, or this public key; neither is used twice.`);
    return;
  }
  switch (saying.decision) {
    case "hold":
    case "resume":
      if (saying.about !== "EU") knowState(saying.about);
      return;
    case "override":
    case "void":
      knowState(saying.about);
      return;
    case "suspend":
      if (!keys.some(({ id, role }) => role === "trustee" && id === saying.trustee))
        throw impossible(`The definition names no trustee's key ${saying.trustee}.`);
      return;
    case "draw":
      if (!states.some((state) => state.constituencies.some(({ id }) => id === saying.constituency)))
        throw impossible(`The definition has no constituency ${saying.constituency}.`);
      return;
    case "origin":
    case "recover":
      return;
  }
}

/** A payload as every reader will read it; throws a Refusal for what no reader would take, so that it is never signed. */
export function readBack(payload: Uint8Array): Decision {
  const read = readStatement(payload);
  if (read.kind === "refused") throw new Refusal("command.wrong", `This cannot be said. ${read.detail}`);
  return read.statement as Decision;
}
