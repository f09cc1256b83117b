import { useEffect, useState } from "preact/hooks";
import type { Status } from "../../status.ts";

/** What the page knows: kept whole by the server's stream, and said to be old when that is cut. */
export interface Live {
  status: Status | undefined;
  /** `over`: nobody is signed in any more. */
  line: "connecting" | "live" | "cut" | "over";
  /** When the last status came, ms. */
  at: number;
}

export interface Person {
  name: string;
  roles: string[];
  csrf: string;
  expires: string;
}

export interface SignedIn {
  ways: { provider: boolean; link: boolean };
  session: Person | null;
  expired?: boolean;
}

const DRAW_MS = 100;

let live: Live = { status: undefined, line: "connecting", at: 0 };
const listeners = new Set<(live: Live) => void>();
let source: EventSource | undefined;

function set(more: Partial<Live>): void {
  live = { ...live, ...more };
  for (const listener of listeners) listener(live);
}

/** Opens the stream. The browser opens it again by itself after a cut; the next status is whole. */
export function connect(): void {
  source?.close();
  source = new EventSource("/v1/live");
  let timer: number | undefined;
  let waiting: string | undefined;
  // However fast they come, ten a second are drawn, the newest each time: nobody reads faster, and the processor is not ours alone.
  const draw = () => {
    timer = undefined;
    if (waiting === undefined) return;
    const text = waiting;
    waiting = undefined;
    set({ status: JSON.parse(text) as Status, line: "live", at: Date.now() });
  };
  source.addEventListener("status", (event) => {
    waiting = (event as MessageEvent<string>).data;
    if (live.status === undefined) draw();
    else if (timer === undefined) timer = window.setTimeout(draw, DRAW_MS);
  });
  source.addEventListener("over", () => {
    source?.close();
    set({ line: "over" });
  });
  source.onopen = () => set({ line: live.status === undefined ? "connecting" : "live" });
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return set({ line: "cut" });
    // Refused, not cut: either nobody is signed in any more, or watch is full or starting.
    askSession().then(
      ({ session }) => {
        if (session === null) return set({ line: "over" });
        set({ line: "cut" });
        setTimeout(connect, 1_000 + Math.random() * 2_000);
      },
      () => {
        set({ line: "cut" });
        setTimeout(connect, 1_000 + Math.random() * 2_000);
      },
    );
  };
}

export function useLive(): Live {
  const [now, update] = useState(live);
  useEffect(() => {
    listeners.add(update);
    update(live);
    return () => void listeners.delete(update);
  }, []);
  return now;
}

export async function askSession(): Promise<SignedIn> {
  return (await (await fetch("/v1/session")).json()) as SignedIn;
}

/** What a refusal says, for people. */
export class Refused extends Error {}

/** Asks for a document. Throws Refused with the server's sentence. */
export async function ask<T>(path: string): Promise<T> {
  return answerOf<T>(await fetch(path));
}

/** Does something, as the person who is signed in. */
export async function act<T>(path: string, body: unknown, csrf: string): Promise<T> {
  const headers = { "content-type": "application/json", "scrutin-csrf": csrf };
  return answerOf<T>(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answerOf<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  const problem = (await response.json().catch(() => ({}))) as { title?: string; detail?: string };
  throw new Refused(`${problem.title ?? `The server answers ${response.status}.`} ${problem.detail ?? ""}`.trim());
}
