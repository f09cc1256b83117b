import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Definition } from "../shared/definition/schema.ts";
import { readSigner, signStatement, writeStatement } from "../shared/platform/sign.ts";
import type { Tally } from "../shared/statement/types.ts";

const HELP = `Signs the bodies that a load test sends, so that signing is not what is measured.

  npx tsx loadtest/prepare.ts --stack stack.json --out bodies.json [--state RO] [--tallies 1] [--count 5000]

  --stack FILE   written by npm start -- --stack FILE; its exercise is the one that the bodies are signed for
  --state XX     whose office sends (default RO)
  --tallies N    tallies in a statement, 1 to 50 (default 1)
  --count N      statements (default 5000)
`;

/** A section's figures that add up; they differ by unit so that no two bodies are alike. */
function plausible(unit: string, version: number, lists: string[], seed: number): Tally {
  const votes = Object.fromEntries(lists.map((list, i) => [list, (seed * 31 + i * 17) % 97]));
  const valid = Object.values(votes).reduce((sum, n) => sum + n, 0);
  const invalid = seed % 7;
  return {
    unit,
    version,
    status: "final",
    electors: (valid + invalid) * 2,
    ballots: valid + invalid,
    blank: 0,
    invalid,
    votes,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      out: { type: "string" },
      state: { type: "string", default: "RO" },
      tallies: { type: "string", default: "1" },
      count: { type: "string", default: "5000" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || values.stack === undefined || values.out === undefined) {
    process.stdout.write(HELP);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const stack = JSON.parse(await readFile(values.stack, "utf8")) as {
    addresses: { ingest: string };
    definition: string;
    keys: string;
  };
  const bytes = await readFile(stack.definition);
  const hash = createHash("sha256").update(bytes).digest("hex");
  const definition = JSON.parse(bytes.toString("utf8")) as Definition;
  const state = definition.states.find(({ id }) => id === values.state);
  if (state === undefined) throw new TypeError(`the definition has no state ${values.state}`);
  const signer = await readSigner(join(stack.keys, `${state.id}-1.json`));
  const units = state.units.flatMap(({ ids }) => ids);
  const lists = state.lists.map(({ id }) => id);
  const perStatement = Number(values.tallies);
  const bodies = Array.from({ length: Number(values.count) }, (_, n) => {
    const first = n * perStatement;
    const tallies = Array.from({ length: perStatement }, (_, i) => {
      const at = first + i;
      return plausible(units[at % units.length] as string, 1 + Math.floor(at / units.length), lists, at);
    });
    const about = { definition: hash, state: state.id, sequence: n + 1, now: Date.now() };
    return Buffer.from(signStatement(writeStatement({ type: "tally", tallies }, about), [signer])).toString("utf8");
  });
  await writeFile(values.out, JSON.stringify({ url: `${stack.addresses.ingest}/v1/statements`, bodies }));
  process.stdout.write(
    `${bodies.length} statements of ${perStatement} tallies for ${stack.addresses.ingest} in ${values.out}\n`,
  );
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
});
