/** What a person sees while an audit runs. */
export interface Progress {
  begin(what: string, total: number): void;
  at(done: number): void;
  /** Takes the bar away. */
  end(): void;
}

/** What a bar needs of a terminal. */
export interface Terminal {
  isTTY?: boolean | undefined;
  columns?: number | undefined;
  write(text: string): unknown;
}

const EVERY_MS = 100;
const BAR = 30;

/** A bar on a terminal; nothing at all where the output goes to a file or a pipe. `nowMs` only goes forward. */
export function createProgress(terminal: Terminal, nowMs: () => number): Progress {
  if (terminal.isTTY !== true) return { begin: () => undefined, at: () => undefined, end: () => undefined };
  let what = "";
  let total = 1;
  let startedMs = 0;
  let shownMs = Number.NEGATIVE_INFINITY;
  const show = (done: number) => {
    const filled = Math.round((done / Math.max(1, total)) * BAR);
    const bar = "█".repeat(filled) + "·".repeat(BAR - filled);
    const seconds = (nowMs() - startedMs) / 1000;
    const rate = seconds > 0.5 ? `  ${Math.round(done / seconds)}/s` : "";
    const line = `${what.padEnd(11)} ${bar} ${done}/${total}${rate}`;
    terminal.write(`\r\x1b[K${line.slice(0, (terminal.columns ?? 80) - 1)}`);
  };
  return {
    begin(name, size) {
      what = name;
      total = size;
      startedMs = nowMs();
      shownMs = startedMs;
      show(0);
    },
    at(done) {
      if (nowMs() - shownMs < EVERY_MS && done < total) return;
      shownMs = nowMs();
      show(done);
    },
    end: () => void terminal.write("\r\x1b[K"),
  };
}
