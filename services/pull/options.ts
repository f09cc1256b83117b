import { parseArgs } from "node:util";
import { readDefinitionKey, readUrl } from "../../shared/platform/publisher/command-line.ts";
import type { DefinitionKey } from "../../shared/platform/publisher/definition.ts";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";

export const HELP = `Pulls every release into a folder, verified: the definition, both counts' signatures, the chain from release to release, and the proof
that the log announced it. Follows on until it is stopped, and goes on from the folder when it is started again.

  npm run pull -- <url> --out FOLDER [options]

  <url>                 where the results are published, such as https://results.example.eu
  --out FOLDER          where they are written: release-<n>.json, release-<n>.signatures.json, release-<n>.proof, release-<n>.statement, and
                        below release-<n>/ the formats asked for. Each file appears whole or not at all.
  --formats LIST        files to make of each release, with the publisher's signature beside each: names or folders of
                        /v1/releases/<n>/files, separated by commas, such as "release.csv,sheets"; or "all". None unless it is given.
  --key FILE            the Parliament's private key (a JWK that only you can read): the next release is held sealed ahead of its lift, and
                        opened here as soon as its key is published.
  --definition-key KEY  a key of the election authority that you trust, as ID=BASE64URL or BASE64URL (32 bytes). Give two: one vouches
                        for the other. Without any the definition is believed as it stands at the address.
  --once                takes what is there and ends.
  --json                says what happens as JSON, one object a line.
  --help                prints this.

Exit code: 0 all of it holds; 1 something was refused (what, and who must explain it, is said; nothing of it is left in the folder);
2 the command, or one of your own files, is not what it must be; 3 it could not be finished; 130 interrupted.
`;

export interface Options {
  url: URL;
  out: string;
  /** Names and folders, or "all"; empty: none. */
  formats: readonly string[] | "all";
  keyFile: string | undefined;
  definitionKeys: DefinitionKey[];
  once: boolean;
  json: boolean;
}

/** Reads the command line. Undefined when it asks for help; throws a UsageError for what it cannot mean. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0)
    throw new UsageError("Give one address: where the results are published. --help says the rest.");
  if (values.out === undefined || values.out === "")
    throw new UsageError("Give --out and a folder: where the releases are to be written.");
  return {
    url: readUrl(address),
    out: values.out,
    formats: readFormats(values.formats),
    keyFile: values.key,
    definitionKeys: values["definition-key"].map(readDefinitionKey),
    once: values.once,
    json: values.json,
  };
}

function parse(args: readonly string[]) {
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: "string" },
        formats: { type: "string" },
        key: { type: "string" },
        "definition-key": { type: "string", multiple: true, default: [] as string[] },
        once: flag,
        json: flag,
        help: flag,
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readFormats(text: string | undefined): Options["formats"] {
  if (text === "all") return "all";
  const names = (text ?? "").split(",").map((name) => name.trim().replace(/\/+$/, ""));
  return names.filter((name) => name !== "");
}
