import type { FeedView } from "../../feeds.ts";
import type { Tone } from "./ui.tsx";

/** How a feed stands, by what the page shows of it. */
export function feedTone({ feed, expected, tallies, units }: FeedView): Tone {
  if (feed === "overdue") return "bad";
  if (feed === "waiting") return "quiet";
  if (expected !== null && expected.now - tallies / Math.max(1, units) > 0.2) return "doubt";
  return "good";
}

/** The share of its units of which tallies came; corrections may make it more than all, and are then all. */
export const received = ({ tallies, units }: FeedView) => Math.min(1, tallies / Math.max(1, units));
