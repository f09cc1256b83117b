import { z } from "zod";
import { MAX_CORRECTIONS, type Release } from "./release.ts";
import type { Changes } from "./release-changes.ts";

/**
 * The shapes of what is published, as schemas: what the OpenAPI document says, and what answers are tested against. `release.ts` says what each
 * field means.
 */

const Count = z.number().int().nonnegative();
const Id = z.string().min(1);
export const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ description: "SHA-256, hex." });
const Instant = z.iso.datetime();
const Status = z.enum(["PROVISIONAL", "FINAL", "OFFICIAL"]);
const Seats = z.strictObject({ total: Count, allocated: Count });
const Groups = z.record(z.string(), Count);

const figures = {
  units: z.strictObject({ expected: Count, counted: Count }),
  electors: Count,
  ballots: Count,
  blank: Count,
  invalid: Count,
  valid: Count,
  turnout: z
    .string()
    .regex(/^\d+\.\d{2}$/)
    .nullable()
    .meta({ description: "Ballots of electors in percent, rounded half up to two decimals; null without electors." }),
};
const listResult = { id: Id, votes: Count, seats: Count };
const Tie = z.strictObject({ constituency: Id, within: Id, between: z.array(Id), seats: Count });
const Correction = z.strictObject({ unit: Id, version: z.number().int().positive(), reason: z.string().nullable() });

export const ConstituencyResult = z.strictObject({
  constituency: Id,
  ...figures,
  seats: Seats,
  lists: z.array(z.strictObject(listResult)),
});

export const StateResult = z.strictObject({
  state: z.string().regex(/^[A-Z]{2}$/),
  ...figures,
  status: Status,
  withheld: z
    .boolean()
    .meta({ description: "Trustees hold this state's results: every figure is 0 and every list empty." }),
  seatsFrom: z.enum(["computed", "declared"]),
  votesFrom: z
    .enum(["counted", "rebuilt"])
    .meta({ description: "Rebuilt: from published percentages. They are no count." }),
  seats: Seats,
  groups: Groups,
  lists: z.array(z.strictObject({ ...listResult, groups: Groups })),
  constituencies: z.array(ConstituencyResult),
  ties: z.array(Tie),
  differences: z.array(z.strictObject({ constituency: Id, list: Id, computed: Count, declared: Count })),
  corrected: Count,
  corrections: z.array(Correction).max(MAX_CORRECTIONS),
});

export const ReleaseSchema = z.strictObject({
  type: z.literal("release"),
  election: z.string(),
  mode: z.enum(["live", "exercise"]),
  definition: Sha256,
  number: z.number().int().positive(),
  status: Status,
  checkpoint: z.strictObject({ origin: z.string(), size: Count, root: z.string() }),
  asOf: Instant,
  previous: Sha256.nullable(),
  union: z.strictObject({ ...figures, votesOf: z.array(Id), seats: Seats, groups: Groups }),
  states: z.array(StateResult),
}) satisfies z.ZodType<Release>;

/** Which release an answer that shows a part of one is made of. */
export const OfRelease = z.strictObject({
  number: z.number().int().positive(),
  sha256: Sha256,
  mode: z.enum(["live", "exercise"]),
  status: Status,
  asOf: Instant,
});
export const OneState = z.strictObject({ release: OfRelease, state: StateResult });
export const OneConstituency = z.strictObject({ release: OfRelease, state: Id, constituency: ConstituencyResult });
export const StateList = z.strictObject({
  release: OfRelease,
  states: z.array(z.strictObject({ state: Id, status: Status, withheld: z.boolean(), seats: Seats, url: z.string() })),
});

const changed = <T extends z.ZodType>(what: T) => z.strictObject({ before: what.nullable(), after: what });
const standing = { ...figures, seats: Seats };
export const ChangesSchema = z.strictObject({
  from: Count.meta({ description: "0: from nothing." }),
  to: z.number().int().positive(),
  union: changed(z.strictObject({ ...standing, groups: Groups })),
  states: z.array(
    z.strictObject({
      state: Id,
      status: changed(Status),
      withheld: changed(z.boolean()),
      figures: changed(z.strictObject(standing)),
      lists: z.array(z.strictObject({ id: Id, votes: changed(Count), seats: changed(Count) })),
      groups: changed(Groups),
      corrected: Count,
      corrections: z.array(Correction),
    }),
  ),
}) satisfies z.ZodType<Changes>;

export const ListedSchema = z.strictObject({
  number: z.number().int().positive(),
  sha256: Sha256,
  size: Count,
  asOf: Instant,
  status: Status,
  key: Sha256.meta({ description: "What the sealed copy of this number and size is opened with: 32 bytes, hex." }),
  url: z.string(),
});
export const ReleaseList = z.strictObject({
  mode: z.enum(["live", "exercise"]),
  election: z.string(),
  definition: Sha256,
  releases: z.array(ListedSchema),
});
