import { parseArgs } from "node:util";
import { parseVerifierKey, type Witness } from "../../shared/ledger/cosignature.ts";
import { readDefinitionKey, readUrl } from "../../shared/platform/publisher/command-line.ts";
import type { DefinitionKey } from "../../shared/platform/publisher/definition.ts";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { importVerifyKey } from "../../shared/statement/ed25519.ts";

export const HELP = `Verifies a published election from public artefacts alone: the definition, the log and its witnesses, every statement and signature,
every verdict by the rules, every release counted again by two codes. Needs no account and nothing but the address.

  npm run audit -- <url> [options]

  <url>                 where the results are published, such as https://results.example.eu
  --definition-key KEY  a key of the election authority that you trust, as ID=BASE64URL or BASE64URL (32 bytes). Give two: one vouches
                        for the other. Without any the definition is believed as it stands at the address, and the report says so.
  --witness VKEY        a witness that must have cosigned the checkpoint, besides those of the definition (name+hash+base64).
  --receipt FILE        a receipt that an office was given (a compact JWS): the log must hold what it says.
  --proof FILE          a proof from /v1/proofs (a tlog-proof file), likewise.
  --evidence FILE       an evidence file, one of those whose urls /v1/evidence lists, likewise.
  --state FILE          what was seen at the last visit; the log must have grown from there. Without it a file of its own for each
                        address, in $XDG_STATE_HOME or ~/.local/state, below scrutin/audit.
  --every               verifies every signature with tweetnacl as well, above 20,000 statements too (about 100 a second and core).
  --seed N              draws the sample of that second check again, as an earlier report names it.
  --json                prints the report as JSON.
  --help                prints this.

Options may be given several times: --definition-key, --witness, --receipt, --proof, --evidence.
Interrupted with Ctrl-C it leaves what it has fetched, and the same command goes on from there.

Exit code: 0 all of it holds; 1 something is wrong (the report says what, where, and who must explain it); 2 the command, or one
of your own files, is not what it must be; 3 the audit could not be finished; 130 interrupted.
`;

export interface Options {
  url: URL;
  definitionKeys: DefinitionKey[];
  witnesses: Witness[];
  receipts: string[];
  proofs: string[];
  evidence: string[];
  state: string | undefined;
  every: boolean;
  /** Undefined: to be drawn. */
  seed: number | undefined;
  json: boolean;
}

/** Reads the command line. Undefined when it asks for help; throws a UsageError for what it cannot mean. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0)
    throw new UsageError("Give one address: where the results are published. --help says the rest.");
  return {
    url: readUrl(address),
    definitionKeys: values["definition-key"].map(readDefinitionKey),
    witnesses: values.witness.map(readWitness),
    receipts: values.receipt,
    proofs: values.proof,
    evidence: values.evidence,
    state: values.state,
    every: values.every,
    seed: values.seed === undefined ? undefined : readSeed(values.seed),
    json: values.json,
  };
}

/** Node's own sentences for what it does not know are good enough. */
function parse(args: readonly string[]) {
  const list = { type: "string", multiple: true, default: [] as string[] } as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        "definition-key": list,
        witness: list,
        receipt: list,
        proof: list,
        evidence: list,
        state: { type: "string" },
        every: flag,
        seed: { type: "string" },
        json: flag,
        help: flag,
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readWitness(text: string): Witness {
  const key = parseVerifierKey(text);
  const publicKey = key?.alg === 4 ? importVerifyKey(key.raw) : undefined;
  if (key === undefined || publicKey === undefined)
    throw new UsageError(
      `--witness ${text}: it is no verifier key of a witness (name+hash+base64, with the algorithm 0x04).`,
    );
  return { name: key.name, publicKey };
}

function readSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new UsageError(`--seed takes a whole number, not "${text}".`);
  return seed;
}
