import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Sample, SampleKey } from "../../shared/definition/sample.ts";
import { PLAIN } from "../../shared/platform/terminal.ts";
import { readCommand } from "./options.ts";
import { Refusal } from "./refusal.ts";
import { run } from "./run.ts";

/** For tests: a folder as a trustee has it, with the definition and keys, and the tool within the test's process. */
export interface Desk {
  folder: string;
  /** A file in the folder. */
  path(name: string): string;
  keyFile(kid: string): string;
  /** Writes a private key as it is kept. */
  addKey(key: SampleKey): Promise<void>;
  /** Where decisions go; nobody answers there before a test says. */
  url: string;
  /** The variables of the trustee with this key. */
  env(kid: string): Record<string, string>;
  /** Runs a command as this trustee. Never rejects for a Refusal. */
  as(kid: string, ...args: string[]): Promise<Ran>;
  close(): Promise<void>;
}

/** How a command ended: its exit code, the code of its refusal if it was refused, and everything that it printed. */
export interface Ran {
  exit: number;
  code: string | undefined;
  text: string;
}

/** `answer`: what a person types when asked; undefined: there is no terminal. `patienceMs`: with a door that does not answer. */
export async function runHere(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  { answer, patienceMs = 200 }: { answer?: string | undefined; patienceMs?: number } = {},
): Promise<Ran> {
  const output = new PassThrough();
  const input = Object.assign(new PassThrough(), answer === undefined ? {} : { isTTY: true as const });
  input.end(answer === undefined ? "" : `${answer}\n`);
  const chunks: Buffer[] = [];
  output.on("data", (chunk: Buffer) => chunks.push(chunk));
  const text = () => Buffer.concat(chunks).toString("utf8");
  try {
    const command = readCommand(args, env);
    if (command === undefined) return { exit: 0, code: undefined, text: "help" };
    const now = () => Date.parse("2024-06-09T20:00:00Z");
    const exit = await run(command, { input, output, style: PLAIN, now, patienceMs });
    return { exit, code: undefined, text: text() };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { exit: error.exit, code: error.code, text: `${text()}${error.text}` };
  }
}

/** Lays out a desk for an election; the keys of its trustees are there. */
export async function layDesk(sample: Sample): Promise<Desk> {
  const folder = await mkdtemp(join(tmpdir(), "scrutin-trustee-"));
  const path = (name: string) => join(folder, name);
  const keyFile = (kid: string) => path(`${kid}.json`);
  await writeFile(path("definition.json"), sample.bytes);
  await writeFile(path("definition.signatures.json"), JSON.stringify(sample.signatures));
  await writeFile(path("authority.json"), JSON.stringify(sample.anchors));
  const desk: Desk = {
    folder,
    path,
    keyFile,
    addKey: ({ id, jwk }) => writeFile(keyFile(id), JSON.stringify(jwk), { mode: 0o600 }),
    url: "http://127.0.0.1:9",
    env: (kid) => ({
      TRUSTEE_KEY_FILE: keyFile(kid),
      SCRUTIN_DEFINITION: path("definition.json"),
      SCRUTIN_INGEST_URL: desk.url,
    }),
    as: (kid, ...args) => runHere(args, desk.env(kid), desk.url.endsWith(":9") ? {} : { patienceMs: 20_000 }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
  for (const { id, role } of sample.definition.keys)
    if (role === "trustee") await desk.addKey(sample.keys.get(id) as SampleKey);
  return desk;
}
