import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

/** What every page uses. A state is a sign, a word and a colour: the colour is never alone. */
export type Tone = "good" | "doubt" | "bad" | "quiet";

const SIGNS: Record<Tone, string> = { good: "✓", doubt: "!", bad: "✕", quiet: "–" };

export function Mark({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`mark ${tone}`}>
      <span class="sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>{" "}
      {children}
    </span>
  );
}

/** A link within the page: it loads nothing anew. */
export function Link({ to, children, ...more }: { to: string; children: ComponentChildren; class?: string; "aria-current"?: "page" | undefined }) {
  return (
    <a
      href={to}
      {...more}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}

export function go(to: string): void {
  history.pushState(null, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("h1")?.focus();
}

/** Milliseconds since the epoch, told anew every second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** "14 s", "3 min", "2 h 5 min". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The instant in UTC, and how long ago that was. */
export function Ago({ iso, now }: { iso: string | null; now: number }) {
  if (iso === null) return <span class="quiet">never</span>;
  return (
    <time dateTime={iso} title={iso}>
      {span(now - Date.parse(iso))} ago
    </time>
  );
}

export function Clock({ iso }: { iso: string }) {
  return (
    <time dateTime={iso} title={iso}>
      {iso.slice(11, 19)} UTC
    </time>
  );
}

export const number = (value: number) => value.toLocaleString("en-GB");
export const bytes = (value: number) =>
  value < 1024 ? `${value} B` : value < 1024 ** 2 ? `${(value / 1024).toFixed(0)} KiB` : value < 1024 ** 3 ? `${(value / 1024 ** 2).toFixed(0)} MiB` : `${(value / 1024 ** 3).toFixed(1)} GiB`;
export const percent = (share: number) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
