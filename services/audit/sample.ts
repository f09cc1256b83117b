import { createHash } from "node:crypto";

/** With tweetnacl a hundred signatures take a second on one core: so many statements are verified twice without being asked for. */
export const ALWAYS_TWICE = 20_000;

/** Which statements' signatures are verified by the second implementation, too. */
export interface Sample {
  /** 1: all of them. */
  share: number;
  /** With it anyone draws the same sample again. */
  seed: number;
  isDrawn(index: number): boolean;
}

/**
 * All of up to 20,000 statements, or of any number with `every`; above that each is drawn with a chance that makes 20,000 of them, by SHA-256 of
 * the seed and the entry's index. Who publishes cannot know the seed beforehand.
 */
export function createSample({
  statements,
  every,
  seed,
}: {
  statements: number;
  every: boolean;
  seed: number;
}): Sample {
  if (every || statements <= ALWAYS_TWICE) return { share: 1, seed, isDrawn: () => true };
  const share = ALWAYS_TWICE / statements;
  const bound = share * 2 ** 32;
  const isDrawn = (index: number) => createHash("sha256").update(`${seed} ${index}`).digest().readUInt32BE(0) < bound;
  return { share, seed, isDrawn };
}
