import type { ReadStream } from "node:tty";
import type { Style } from "../../shared/platform/terminal.ts";

/** What a command is given of the world. */
export interface World {
  input: NodeJS.ReadableStream & Partial<Pick<ReadStream, "isTTY">>;
  /** A line of the command's answer. */
  say(line: string): void;
  /** The whole answer of a command with --json. */
  answer(value: unknown): void;
  /** Something that is shown while it goes on, on one line; undefined takes it away. */
  progress(line: string | undefined): void;
  output: NodeJS.WritableStream;
  style: Style;
  env: NodeJS.ProcessEnv;
  /** ms since the epoch. */
  now(): number;
  signal: AbortSignal;
}
