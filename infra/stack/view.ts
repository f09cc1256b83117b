import type { Tallying } from "./offices.ts";
import type { Parliament } from "./parliament.ts";

/** What the view shows of a night that is running. */
export interface Scene {
  lift: number;
  /** Statements planned per state. */
  planned: ReadonlyMap<string, number>;
  tallying: Tallying;
  parliament: Parliament;
}

const EVERY_LIVE_MS = 250;
const EVERY_PLAIN_MS = 5_000;

/** Shows the night until `stop()`: a live picture on a terminal, plain lines when piped. Colours only on a terminal without NO_COLOR. */
export function startView(scene: Scene, out: NodeJS.WriteStream): { stop(): void } {
  const live = out.isTTY === true;
  const paint = live && process.env.NO_COLOR === undefined;
  let drawn = 0;
  let last = { at: Date.now(), answered: 0 };
  const show = () => {
    const now = Date.now();
    const answered = scene.tallying.accepted + scene.tallying.quarantined;
    const rate = Math.round(((answered - last.answered) * 1000) / Math.max(1, now - last.at));
    last = { at: now, answered };
    const lines = live ? picture(scene, now, rate, paint) : [line(scene, now, rate)];
    if (live && drawn > 0) out.write(`\x1b[${drawn}A\x1b[0J`);
    out.write(`${lines.join("\n")}\n`);
    drawn = lines.length;
  };
  const timer = setInterval(show, live ? EVERY_LIVE_MS : EVERY_PLAIN_MS);
  return {
    stop: () => {
      clearInterval(timer);
      show();
    },
  };
}

function countdown(scene: Scene, now: number): string {
  const seconds = Math.round((scene.lift - now) / 1000);
  return seconds >= 0 ? `last poll closes in ${seconds} s` : `last poll closed ${-seconds} s ago`;
}

function given({ first, latest, lastAnswer }: Parliament): string {
  if (latest === undefined || first === undefined) return `the Parliament asks and gets ${lastAnswer}`;
  const { counted, expected } = latest.union.units;
  return `the Parliament has release ${latest.number}: ${counted} of ${expected} units, ${latest.union.seats.allocated} seats`;
}

function line(scene: Scene, now: number, rate: number): string {
  const { tallying, parliament } = scene;
  return `${countdown(scene, now)}; ${tallying.units.size} units in; ${tallying.sent} sent, ${tallying.accepted} accepted, ${tallying.quarantined} quarantined, ${rate}/s; ${given(parliament)}`;
}

function picture(scene: Scene, now: number, rate: number, paint: boolean): string[] {
  const { tallying, parliament, planned } = scene;
  const bold = (text: string) => (paint ? `\x1b[1m${text}\x1b[0m` : text);
  const cells = [...planned].map(([state, total]) => {
    const done = tallying.answered.get(state) ?? 0;
    const filled = Math.floor((done * 8) / total);
    return `${state} ${"█".repeat(filled)}${"·".repeat(8 - filled)} ${String(done).padStart(4)}/${String(total).padEnd(4)}`;
  });
  const rows: string[] = [];
  for (let i = 0; i < cells.length; i += 4) rows.push(`  ${cells.slice(i, i + 4).join("   ")}`);
  return [
    bold(`EXERCISE  ${countdown(scene, now)}`),
    ...rows,
    `  units: ${tallying.units.size} in; statements: ${tallying.sent} sent, ${tallying.accepted} accepted, ${tallying.quarantined} quarantined, ${tallying.refused} refused; ${rate}/s`,
    `  ${given(parliament)}; asked ${parliament.askedBeforeLift} times before the lift, served ${parliament.servedBeforeLift}`,
  ];
}
