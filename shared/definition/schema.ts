import { z } from "zod";

/**
 * The definition: the signed description of one election. Everything that a verdict, a result or the gate depends on
 * stands here, and a definition is known by the SHA-256 of its bytes. This file says what shape it has;
 * `validate.ts` says what must hold between its parts.
 */

/** A definition that is not one may be wrong in ten million places: beyond this many a list is not read on. */
const MAX_ISSUES = 100;

/** `z.array(item).min(min)` that stops when it has found enough. */
function listOf<T extends z.ZodType>(item: T, min = 0) {
  return z
    .array(z.unknown())
    .min(min)
    .transform((values, context): z.output<T>[] => {
      const read: z.output<T>[] = [];
      let issues = 0;
      for (let n = 0; n < values.length && issues < MAX_ISSUES; n++) {
        const parsed = item.safeParse(values[n]);
        if (parsed.success) read.push(parsed.data);
        else
          for (const { path, message } of parsed.error.issues) {
            context.addIssue({ code: "custom", path: [n, ...path], message });
            issues++;
          }
      }
      return issues === 0 ? read : z.NEVER;
    });
}

/** Key ids travel in JWS headers, log lines and file names: one short alphabet for all of them. */
export const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Unit ids as offices write them: `RO-1-79`, `IT-1-058091-0001`. */
export const UNIT_ID = /^[A-Z]{2}-[A-Za-z0-9._-]{1,61}$/;

const KeyId = z.string().regex(KEY_ID);
const StateId = z.string().regex(/^[A-Z]{2}$/); // EU codes: Greece is EL
const ListId = z.string().regex(/^[A-Z]{2}\d{2,3}$/); // the Parliament's ids: IT05
const Text = z.string().min(1).max(2000);
const Count = z.number().int().nonnegative().max(1_000_000_000);
const Instant = z.iso.datetime({ precision: undefined }); // UTC, ends in Z
const LocalInstant = z.iso.datetime({ offset: true, local: false }); // with its offset: never a bare local time
export const Key32 = z.string().regex(/^[A-Za-z0-9_-]{43}$/); // 32 bytes, base64url
/** The log's origin: a URL without a scheme (C2SP tlog-checkpoint). */
export const Origin = z
  .string()
  .regex(/^[a-z0-9.-]+(\/[a-z0-9._-]+)*$/)
  .max(255);
/** An exact decimal such as "5", "1.8" or "1.2"; floats never enter. */
const Decimal = z.string().regex(/^\d{1,4}(\.\d{1,6})?$/);

/** Divisor methods divide by d, d+1, … (`dhondt`) or d, d+2, … (`sainte-lague`); `first` replaces the first divisor (Sweden: "1.2"). */
const DivisorMethod = z.strictObject({
  method: z.literal("divisor"),
  divisors: z.enum(["dhondt", "sainte-lague"]),
  first: Decimal.optional(),
});

/**
 * Quota methods with largest remainder. `hare` = V/S, exact; `hagenbach-bischoff` = V/(S+1), exact;
 * `droop` = floor(V/(S+1)) + 1. `of` says which votes V is: of the lists that take part in the allocation
 * (`qualified`), or of all valid votes (`valid`: Greece).
 */
const QuotaMethod = z.strictObject({
  method: z.literal("quota"),
  quota: z.enum(["hare", "droop", "hagenbach-bischoff"]),
  of: z.enum(["qualified", "valid"]),
});

/** Seats follow from counting that this system does not do (STV): the office declares them. */
const DeclaredMethod = z.strictObject({ method: z.literal("declared") });

const Allocation = z.discriminatedUnion("method", [DivisorMethod, QuotaMethod, DeclaredMethod]);

/**
 * A list takes part only with at least this share of the base. `share` is a percentage, or `1/seats` (a full Hare
 * quota: the Netherlands). `of`: `valid` = all valid votes; `ballots` = all ballots cast, invalid ones too (Lithuania);
 * `lists` = valid votes but those for kind `none` (Bulgaria's "I support no one").
 * `independents`, where given, is the share that a list of kind `independent` needs instead (Romania: 1/seats).
 */
const Threshold = z.strictObject({
  share: z.union([Decimal, z.literal("1/seats")]),
  of: z.enum(["valid", "ballots", "lists"]),
  independents: z.union([Decimal, z.literal("1/seats")]).optional(),
});

/** Lists that are counted as one in the first allocation and share its seats in a second one, by the same method. */
const Alliance = z.strictObject({
  id: z.string().regex(/^[A-Z]{2}-[A-Za-z0-9]{1,16}$/),
  lists: listOf(ListId, 2),
  doubt: Text.optional(),
});

/**
 * A minority list linked to another (Italy): its votes count for the pair; of the pair's seats it takes `seats`
 * (as far as the pair won any), the list it is linked `to` takes the rest. The threshold is asked of the pair.
 * `condition` says in words what the law asks and who declares it met.
 */
const Link = z.strictObject({
  list: ListId,
  to: ListId,
  seats: z.number().int().positive(),
  condition: Text,
  doubt: Text.optional(),
});

const Constituency = z.strictObject({
  id: z.string().regex(/^[A-Z]{2,3}(-[A-Za-z0-9]{1,16})?$/), // IT, or the Parliament's ids for colleges: FBE
  name: Text,
  seats: z.number().int().positive().max(200),
  allocation: Allocation,
  threshold: Threshold.optional(),
  alliances: listOf(Alliance).optional(),
  links: listOf(Link).optional(),
});

/**
 * `independent`: a single candidate, takes at most one seat. `others`: a sum of lists that the source does not tell
 * apart; its votes are valid votes, it takes no part in the allocation. `none`: votes for no one; likewise.
 */
const List = z.strictObject({
  id: ListId,
  constituency: z.string(),
  kind: z.enum(["list", "independent", "others", "none"]),
  acronym: Text,
  name: Text,
  /** Political groups its members joined, with the published number of members each; empty when it won no seat. */
  groups: listOf(z.strictObject({ id: z.string(), seats: z.number().int().positive() })),
});

/**
 * Which rules hold for a unit. `register`: it has a register of electors of its own, so that more ballots than electors
 * is an error; elsewhere it is a warning. Limits are percentages above which a warning is given.
 */
const Kind = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{1,31}$/),
  name: Text,
  register: z.boolean(),
  limits: z.strictObject({ turnout: Decimal.optional(), blank: Decimal.optional(), invalid: Decimal.optional() }),
});

/** Units by constituency and kind; ids only, so that half a million of them stay readable and small. */
const Units = z.strictObject({ constituency: z.string(), kind: z.string(), ids: listOf(z.string().regex(UNIT_ID)) });

/**
 * A poll closing. `counts` says whether the definition counts it for Article 10(2) of the Electoral Act.
 * `local` carries its offset and is the same instant as `utc`.
 */
const Closing = z.strictObject({
  where: Text,
  /** The IANA zone of `local` where it is not the state's own: Atlantic/Canary. */
  timezone: Text.optional(),
  local: LocalInstant,
  utc: Instant,
  counts: z.boolean(),
  doubt: Text.optional(),
});

const State = z.strictObject({
  id: StateId,
  name: Text,
  timezone: Text,
  seats: z.number().int().positive().max(200),
  closings: listOf(Closing, 1),
  /** `rebuilt`: the office reports votes rebuilt from published percentages; they enter no Union total of votes. */
  votesFrom: z.enum(["counted", "rebuilt"]),
  /** How many votes one ballot holds (Luxembourg: 6). */
  votesPerBallot: z.number().int().min(1).max(20),
  /** How many distinct officials sign each statement. */
  signaturesRequired: z.number().int().min(1).max(4),
  /** The published electorate, where there is one. */
  electors: Count.optional(),
  /** How many units the state has in life, whatever its feed reports here. */
  unitsInLife: z
    .strictObject({ count: Count, quality: z.enum(["exact", "approx", "unsourced"]), source: Text })
    .optional(),
  constituencies: listOf(Constituency, 1),
  lists: listOf(List, 1),
  kinds: listOf(Kind, 1),
  units: listOf(Units, 1),
  sources: listOf(Text),
  doubts: listOf(Text),
});

const Key = z.discriminatedUnion("role", [
  /** `backup`: a key that is kept away from the night and may do one thing, revoke and rotate keys of its state. */
  z.strictObject({
    id: KeyId,
    role: z.literal("office"),
    state: StateId,
    official: Text,
    publicKey: Key32,
    backup: z.literal(true).optional(),
  }),
  z.strictObject({ id: KeyId, role: z.literal("trustee"), person: Text, publicKey: Key32 }),
  z.strictObject({ id: KeyId, role: z.enum(["ledger", "tabulate", "recount"]), publicKey: Key32 }),
]);

const NamedKey = z.strictObject({ id: KeyId, publicKey: Key32 });

export const Definition = z.strictObject({
  type: z.literal("definition"),
  election: z.string().regex(/^[a-z][a-z0-9-]{1,31}$/),
  title: Text,
  /** An exercise says so in everything that it produces; what is signed for it is never accepted elsewhere. */
  mode: z.enum(["live", "exercise"]),
  origin: Origin,
  seats: z.number().int().positive(),
  groups: listOf(z.strictObject({ id: z.string().regex(/^[A-Za-z]{2,16}$/), name: Text }), 1),
  /** Keys of the election authority: two of them sign the definition. */
  authority: listOf(NamedKey, 2),
  keys: listOf(Key),
  /** X25519 public keys to which data keys are wrapped: the vault's, and the one that trustees can rebuild. */
  vault: z.strictObject({ publicKey: Key32, recoveryKey: Key32 }),
  /**
   * The door that offices push to: what its TLS certificate's public key must be, as SHA-256 of SubjectPublicKeyInfo (RFC 7469, 2.4),
   * 32 bytes in base64url. Several, so that a key can be replaced during the night.
   */
  door: z.strictObject({ pins: z.array(Key32).min(1).max(8) }).optional(),
  /**
   * Who watches the log grow (C2SP tlog-witness): the names and Ed25519 keys that cosign, and how many of them a head needs. More than
   * half, so that no two quorums can have seen two logs.
   */
  witnesses: z
    .strictObject({
      quorum: z.number().int().positive(),
      keys: z
        .array(z.strictObject({ name: Origin, operator: Text, publicKey: Key32 }))
        .min(1)
        .max(15),
    })
    .optional(),
  /**
   * The side that publishes. `parliament`: who may pull a release that is sealed still. `release`: what the publication endpoint signs the files
   * with that it makes of a release. Neither signs a statement.
   */
  publication: z
    .strictObject({ parliament: z.array(NamedKey).min(1).max(8), release: z.array(NamedKey).min(1).max(4) })
    .optional(),
  states: listOf(State, 1),
  sources: listOf(Text),
});

export type Definition = z.infer<typeof Definition>;
export type State = z.infer<typeof State>;
export type Constituency = z.infer<typeof Constituency>;
export type Allocation = z.infer<typeof Allocation>;
export type Threshold = z.infer<typeof Threshold>;
export type List = z.infer<typeof List>;
export type Kind = z.infer<typeof Kind>;
export type Key = z.infer<typeof Key>;
export type Closing = z.infer<typeof Closing>;
