import { type Logger, pino } from "pino";

export type LogLine = Record<string, unknown>;

/** A log for tests: keeps its lines, and a test can wait for one without asking again and again. */
export function createHeardLog(): {
  log: Logger;
  lines: LogLine[];
  heard(wanted: (line: LogLine) => boolean): Promise<LogLine>;
} {
  const lines: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const write = (text: string) => {
    const line = JSON.parse(text) as LogLine;
    lines.push(line);
    for (const take of waiting) take(line);
  };
  const heard = (wanted: (line: LogLine) => boolean) =>
    new Promise<LogLine>((resolve) => {
      const take = (line: LogLine) => {
        if (!wanted(line)) return;
        waiting.delete(take);
        resolve(line);
      };
      waiting.add(take);
    });
  return { log: pino({ level: "debug" }, { write }), lines, heard };
}
