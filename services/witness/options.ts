import { parseArgs } from "node:util";
import { z } from "zod";
import { isKeyName, NOTE_ALGORITHM } from "../../shared/ledger/checkpoint.ts";
import { parseVerifierKey } from "../../shared/ledger/cosignature.ts";
import { importVerifyKey } from "../../shared/statement/ed25519.ts";
import type { KnownLog } from "./consider.ts";

const HELP = `A witness of public logs (C2SP tlog-witness): it cosigns a log's checkpoint if it extends the last one that it cosigned, and never a
fork. Anyone in the network can run one.

  npm run witness -- --key FILE --state FOLDER --log KEY [--log KEY]… [--name NAME] [--host HOST] [--port PORT]

  --key FILE      the witness' private key, an Ed25519 JWK. Made, for its owner only, if it is not there; the verifier key
                  that logs are told is printed at each start.
  --state FOLDER  what was cosigned last. Belongs to the key: copy both or neither, and never put an old copy back.
  --log KEY       the verifier key of a log to watch, name+hash+base64; its name is the log's origin. Repeatable.
  --name NAME     the name of a key that is made: a URL without a scheme that is yours (witness.example/office-1). Without it the key
                  is called after itself, witness-<8 hex digits>. A key that is there keeps its name.
  --host HOST     an address of this machine (default 127.0.0.1); elsewhere it speaks TLS, with SCRUTIN_TLS_CERT_FILE and SCRUTIN_TLS_KEY_FILE.
  --port PORT     default 0: a free one, printed at the start.

  Each has a variable: WITNESS_KEY_FILE, WITNESS_STATE, WITNESS_LOGS (separated by spaces), WITNESS_NAME, HOST, PORT.
`;

/** What is enough for any member; each costs a file and a few hundred bytes. */
const MAX_LOGS = 64;

/** Verifier keys of logs, separated by white space. */
function readLogs(text: string): KnownLog[] | string {
  const logs = new Map<string, KnownLog>();
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const read = parseVerifierKey(word);
    const publicKey = read === undefined ? undefined : importVerifyKey(read.raw);
    if (read?.alg !== NOTE_ALGORITHM.log || publicKey === undefined) return `names a key that is not a log's: ${word}`;
    if (logs.has(read.name)) return `names two keys of one origin, ${read.name}; a log's key rotates by a new origin`;
    logs.set(read.name, { origin: read.name, publicKey });
  }
  if (logs.size === 0 || logs.size > MAX_LOGS) return `must name 1 to ${MAX_LOGS} logs`;
  return [...logs.values()];
}

export const WITNESS_KEY_FILE = z.string().min(1).describe("Name the file of the witness' key: --key FILE.");
export const WITNESS_STATE = z.string().min(1).describe("Name the folder of the witness' memory: --state FOLDER.");
export const WITNESS_NAME = z
  .string()
  .refine(isKeyName, "has a space, a plus or a control character")
  .max(255, "is longer than 255 characters")
  .optional()
  .describe("Give a URL without a scheme that is yours: --name witness.example/office-1.");
export const WITNESS_LOGS = z
  .string()
  .transform((text, context) => {
    const logs = readLogs(text);
    if (typeof logs !== "string") return logs;
    context.addIssue(logs);
    return z.NEVER;
  })
  .describe("Give the verifier key of each log to watch: --log name+hash+base64.");

/**
 * Puts the options of the command line where services find their configuration, in the environment. "help": they ask for the text, which
 * is answered. Throws a TypeError, in words, for an option that is none.
 */
export function takeOptions(args: string[], env: NodeJS.ProcessEnv): { help: string } | undefined {
  const { values } = parseArgs({
    args,
    options: {
      key: { type: "string" },
      state: { type: "string" },
      log: { type: "string", multiple: true },
      name: { type: "string" },
      host: { type: "string" },
      port: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return { help: HELP };
  const given = {
    WITNESS_KEY_FILE: values.key,
    WITNESS_STATE: values.state,
    WITNESS_LOGS: values.log?.join(" "),
    WITNESS_NAME: values.name,
    HOST: values.host,
    PORT: values.port,
  };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) env[name] = value;
  return undefined;
}
