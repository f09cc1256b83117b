import type { Key } from "../../shared/definition/schema.ts";
import type { KeyBook } from "../../shared/ledger/keys.ts";
import { isNewcomer, type Signer, type Signers, signaturesHold, speaksFor } from "../../shared/statement/authentic.ts";
import type { Envelope } from "../../shared/statement/jws.ts";
import type { Statement } from "../../shared/statement/types.ts";

/**
 * Keys that the log may have brought: above the last release a `key` statement's verdict is not open, and it can hang on one under the same
 * number that is not open either. The ledger knows more than the rules can foresee, and what such a key signed must not look forged. With the
 * release that opens those statements nothing of this is left.
 */
export interface PerhapsKeys {
  /** What the rules allow more than one verdict on: from here on the book is only one of those that may be. */
  doubt(): void;
  /** Whether the book can follow a statement: not a `key` statement by keys that it does not know. */
  canFollow(judged: { statement: Statement; signers: readonly Key[] }): boolean;
  /** A statement that the book does not follow: the key that it brings is kept if the book is in doubt. */
  bring(statement: Statement, signers: readonly Signer[]): void;
  /** The signers to verify this envelope with, whose first signature the entry says is of `key`, which speaks for `state`. */
  signersOf(envelope: Envelope, first: { key: string; state: string }): Promise<Signers>;
}

export function createPerhapsKeys(book: KeyBook): PerhapsKeys {
  /** By id: two that may have come can claim the same one. */
  const brought = new Map<string, Signer[]>();
  let isDoubtful = false;
  return {
    doubt() {
      isDoubtful = true;
    },
    canFollow({ statement, signers }) {
      const isKnown = (key: Key) => book.get(key.id)?.key.publicKey === key.publicKey;
      return statement.type !== "key" || signers.every((key) => isNewcomer(statement, key) || isKnown(key));
    },
    bring(statement, signers) {
      const newcomer = signers.find(({ key }) => isNewcomer(statement, key));
      if (!isDoubtful || newcomer === undefined) return;
      const { id } = newcomer.key;
      brought.set(id, [...(brought.get(id) ?? []), newcomer]);
    },
    async signersOf(envelope, first) {
      if (!envelope.signatures.some(({ kid }) => brought.has(kid))) return book;
      const chosen = new Map<string, Signer>();
      for (const part of envelope.signatures)
        for (const signer of [book.get(part.kid), ...(brought.get(part.kid) ?? [])]) {
          if (signer === undefined || chosen.has(part.kid)) continue;
          if (part.kid === first.key && speaksFor(signer.key) !== first.state) continue;
          if (await signaturesHold({ ...envelope, signatures: [part] }, [signer])) chosen.set(part.kid, signer);
        }
      return { get: (kid) => chosen.get(kid) ?? book.get(kid) };
    },
  };
}
