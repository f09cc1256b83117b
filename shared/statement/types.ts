import { z } from "zod";
import { KEY_ID, Key32, Origin, UNIT_ID } from "../definition/schema.ts";

/**
 * What a statement may say: the payload of a JWS, after the strict parser. Shapes only; whether it is true, allowed and in
 * order is judged by the ledger (`shared/ledger/judge.ts`).
 */

/** Tallies in one statement; an office that has more sends more statements. */
export const MAX_TALLIES = 1000;
/** No unit of the Union counts more; sums over half a million units stay far below 2^53. */
export const MAX_FIGURE = 1_000_000_000;
/** Lists in one tally; the longest ballot of 2024 had 38. */
export const MAX_LISTS = 200;

const Figure = z.number().int().nonnegative().max(MAX_FIGURE);
/** UTC, ends in Z; to the nanosecond at most, of which milliseconds count. */
const Instant = z.iso.datetime().max(30);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const StateId = z.string().regex(/^[A-Z]{2}$/);
const ListId = z.string().regex(/^[A-Z]{2}\d{2,3}$/);
/** UTF-16 code units. */
export const MAX_REASON = 500;
const Reason = z.string().min(1).max(MAX_REASON);
const KeyId = z.string().regex(KEY_ID);
const Official = z.string().min(1).max(200);

export const Tally = z.strictObject({
  unit: z.string().regex(UNIT_ID),
  version: z.number().int().min(1).max(1_000_000),
  status: z.enum(["provisional", "final"]),
  electors: Figure,
  ballots: Figure,
  blank: Figure,
  invalid: Figure,
  votes: z.record(ListId, Figure).refine((v) => Object.keys(v).length <= MAX_LISTS, `at most ${MAX_LISTS} lists`),
  /** Why a figure fell against the version before. */
  reason: Reason.optional(),
});

/** What every statement says of itself. `state` is the office's state, or `EU` for trustees and the vault. */
const common = {
  definition: Sha256,
  state: StateId,
  /** Counts up per key, from 1. */
  sequence: z
    .number()
    .int()
    .min(1)
    .max(2 ** 40),
  /** 128 random bits, base64url. */
  nonce: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  issued: Instant,
};

const Clocks = z.strictObject({ process: Instant, postgres: Instant, nats: Instant });

const TallyStatement = z.strictObject({
  type: z.literal("tally"),
  ...common,
  tallies: z.array(Tally).min(1).max(MAX_TALLIES),
});

/** Without `constituency` it speaks for the whole state. */
const PollsStatement = z.discriminatedUnion("polls", [
  z.strictObject({
    type: z.literal("polls"),
    ...common,
    polls: z.literal("closed"),
    constituency: z.string().max(20).optional(),
  }),
  z.strictObject({
    type: z.literal("polls"),
    ...common,
    polls: z.literal("extended"),
    until: Instant,
    reason: Reason,
    constituency: z.string().max(20).optional(),
  }),
]);

const SeatsStatement = z.strictObject({
  type: z.literal("seats"),
  ...common,
  constituency: z.string().max(20),
  seats: z.record(ListId, z.number().int().nonnegative().max(200)),
});

const DeclarationStatement = z.strictObject({
  type: z.literal("declaration"),
  ...common,
  declares: z.enum(["final", "official"]),
});

const VoidStatement = z.strictObject({
  type: z.literal("void"),
  ...common,
  voids: z
    .number()
    .int()
    .min(1)
    .max(2 ** 40),
  reason: Reason,
});

/**
 * Keys of offices come and go in the log. `rotate`: the old key signs first, then the new one, which takes its place (same state,
 * official and use). `revoke`: a back-up key of the state (`state`: that state), or two trustees (`state`: EU); of what the key
 * signed and the log received after `since`, tallies, seats and declarations count for nothing until they are signed anew. `enrol`: two trustees (`state`: EU), then the new key.
 * Whoever brings a new key signs with it as well: the proof of possession.
 */
const KeyStatement = z.discriminatedUnion("change", [
  z.strictObject({
    type: z.literal("key"),
    ...common,
    change: z.literal("rotate"),
    replaces: KeyId,
    key: z.strictObject({ id: KeyId, publicKey: Key32 }),
  }),
  z.strictObject({
    type: z.literal("key"),
    ...common,
    change: z.literal("revoke"),
    revokes: KeyId,
    since: Instant,
    reason: Reason,
  }),
  z.strictObject({
    type: z.literal("key"),
    ...common,
    change: z.literal("enrol"),
    key: z.strictObject({
      id: KeyId,
      publicKey: Key32,
      state: StateId,
      official: Official,
      backup: z.literal(true).optional(),
    }),
  }),
]);

/** A trustee's decision. `hold` needs one trustee, everything else two. `about`: a state, or EU for the Union. */
const DecisionStatement = z.discriminatedUnion("decision", [
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("hold"),
    about: StateId,
    reason: Reason,
  }),
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("resume"),
    about: StateId,
    reason: Reason,
  }),
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("override"),
    about: StateId,
    reason: Reason,
  }),
  /** The extension that entry `entry` of the log holds counts no more; `about`: the state that gave it. */
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("void"),
    about: StateId,
    entry: z.number().int().min(1),
    reason: Reason,
  }),
  /** What this trustee signs from here on counts no more; signed by two others. */
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("suspend"),
    about: z.literal("EU"),
    trustee: KeyId,
    reason: Reason,
  }),
  /** The vault's key is lost: its processes go on with the recovery key, rebuilt from two trustees' shares. */
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("recover"),
    about: z.literal("EU"),
    reason: Reason,
  }),
  /**
   * The log goes on under another origin and another key of the ledger, from the entry of this decision on: the checkpoint of
   * `size` and `root` is the last of the former origin.
   */
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("origin"),
    about: z.literal("EU"),
    origin: Origin,
    key: z.strictObject({ id: KeyId, publicKey: Key32 }),
    size: z.number().int().min(1),
    root: z.string().max(64),
    reason: Reason,
  }),
  z.strictObject({
    type: z.literal("decision"),
    ...common,
    decision: z.literal("draw"),
    constituency: z.string().max(20),
    /** As the release reports the tie: where it arose, and every contender, in the order that the lot gave. */
    within: z.string().max(20),
    order: z.array(z.string().max(20)).min(2).max(MAX_LISTS),
    reason: Reason,
  }),
]);

/** The vault's own: signed by `tabulate` first and `recount` second. */
const LiftStatement = z.strictObject({ type: z.literal("lift"), ...common, clocks: Clocks });
const ReleaseStatement = z.strictObject({
  type: z.literal("release"),
  ...common,
  number: z.number().int().min(1),
  size: z.number().int().min(1),
  root: z.string().max(64),
  release: Sha256,
  previous: Sha256.nullable(),
});

/** Every type of statement by its name: the reader picks one, so that a refusal names what is wrong with that type. */
export const STATEMENTS = {
  tally: TallyStatement,
  polls: PollsStatement,
  seats: SeatsStatement,
  declaration: DeclarationStatement,
  key: KeyStatement,
  void: VoidStatement,
  decision: DecisionStatement,
  lift: LiftStatement,
  release: ReleaseStatement,
} as const;

export type Tally = z.infer<typeof Tally>;
export type Statement = { [T in keyof typeof STATEMENTS]: z.infer<(typeof STATEMENTS)[T]> }[keyof typeof STATEMENTS];
export type StatementType = Statement["type"];
export type KeyStatement = z.infer<typeof KeyStatement>;
export type Clocks = z.infer<typeof Clocks>;

/** Types that hold no figures: they open as soon as they are in the log. */
export const OPEN_TYPES: ReadonlySet<StatementType> = new Set([
  "polls",
  "declaration",
  "key",
  "void",
  "decision",
  "lift",
  "release",
]);
