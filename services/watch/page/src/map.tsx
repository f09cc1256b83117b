import { shapes, size } from "virtual:union";
import type { FeedView } from "../../feeds.ts";
import { feedTone, received } from "./feed.ts";
import { go, number, percent, type Tone } from "./ui.tsx";

const SAYS: Record<Tone, string> = { good: "reporting", doubt: "behind", bad: "overdue", quiet: "waiting" };

/** The Union: how far each state's feed is. The table below says the same in words, and is what a screen reader is led to. */
export function UnionMap({ feeds }: { feeds: readonly FeedView[] }) {
  const byState = new Map(feeds.map((feed) => [feed.state, feed]));
  const [width, height] = size;
  return (
    <>
      <svg class="union" viewBox={`0 0 ${width} ${height}`} role="img" aria-label="Map of the Union; the table of the states says the same">
        <defs>
          {/* Not by colour alone: who is behind is striped, who is overdue is crossed. */}
          <pattern id="doubt" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect class="fill doubt" width="8" height="8" />
            <path class="stripe" d="M0 0V8" />
          </pattern>
          <pattern id="bad" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect class="fill bad" width="8" height="8" />
            <path class="stripe" d="M0 0L8 8M8 0L0 8" />
          </pattern>
        </defs>
        {shapes.map(({ id, d, x, y, small }) => {
          const feed = byState.get(id);
          const tone = feed === undefined ? "absent" : feedTone(feed);
          const share = feed === undefined ? 0 : received(feed);
          const title = feed === undefined ? id : `${feed.name}: ${SAYS[feedTone(feed)]}, ${number(feed.tallies)} tallies for ${number(feed.units)} units`;
          return (
            <g
              key={id}
              class={`state ${tone}`}
              data-state={id}
              data-tone={tone}
              style={{ "--share": String(Math.round(share * 10) / 10) }}
              onClick={() => feed !== undefined && go(`/states/${id}`)}
            >
              <title>{title}</title>
              <path d={d} />
              {small && <circle cx={x} cy={y} r="9" />}
              <text x={x} y={y + 4} aria-hidden="true">
                {id}
              </text>
            </g>
          );
        })}
      </svg>
      <p class="legend quiet">
        Darker: more of its units, as tallies received ({percent(0)} to {percent(1)}). Striped: behind what is expected. Crossed: overdue. Pale:
        nothing yet.
      </p>
    </>
  );
}
