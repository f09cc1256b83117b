/** What an audit has looked at so far: the numbers of its report. */
export interface Figures {
  entries: number;
  tiles: number;
  /** Those that are open: hashed, opened, parsed, verified. */
  statements: { open: number; closed: number; withheld: number };
  /** By node:crypto all of the open ones; by tweetnacl those of the sample. */
  signatures: { first: number; second: number };
  verdicts: { checked: number; accepted: number; quarantined: number; withheld: number };
  /** Statements after the last release that are open, and judged here though the ledger's verdict is not open yet. */
  foreseen: number;
  keys: { rotated: number; revoked: number; enrolled: number };
  equivocations: number;
  releases: { checked: number; partly: number };
  receipts: number;
  proofs: number;
  evidence: number;
}

export function noFigures(): Figures {
  return {
    entries: 0,
    tiles: 0,
    statements: { open: 0, closed: 0, withheld: 0 },
    signatures: { first: 0, second: 0 },
    verdicts: { checked: 0, accepted: 0, quarantined: 0, withheld: 0 },
    foreseen: 0,
    keys: { rotated: 0, revoked: 0, enrolled: 0 },
    equivocations: 0,
    releases: { checked: 0, partly: 0 },
    receipts: 0,
    proofs: 0,
    evidence: 0,
  };
}
