import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SERVICES, type ServiceName } from "../infra/stack/secrets.ts";
import { SAMPLE_CLOSE, sampleDefinition } from "../shared/definition/sample.ts";
import { type Harness, startHarness } from "./harness.ts";

/** Who moves the schedule moves the gate: a definition is the word of two keys of the authority, and every service asks for both. */

const HOUR = 3_600_000;
const sample = sampleDefinition();
/** Other keys under the same names. */
const thief = sampleDefinition({ seed: "thief", closesAt: SAMPLE_CLOSE - 24 * HOUR });

describe("a definition with an earlier schedule", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample });
  });
  afterAll(() => harness.close());

  const earlier = sampleDefinition({ closesAt: SAMPLE_CLOSE - 24 * HOUR });
  const [one] = earlier.signatures.signatures;
  const [, strange] = thief.signatures.signatures;
  const start = async (name: string, signatures: unknown, services: readonly ServiceName[]) => {
    const file = (what: string) => join(harness.folder, `${what} ${name}.json`);
    await writeFile(file("definition"), earlier.bytes);
    await writeFile(file("signatures"), JSON.stringify(signatures));
    const env = {
      SCRUTIN_DEFINITION: file("definition"),
      SCRUTIN_DEFINITION_SIGNATURES: file("signatures"),
      SCRUTIN_INGEST_URL: "http://127.0.0.1:1",
      SCRUTIN_SERVICES: "{}",
    };
    const refused = (service: ServiceName) =>
      expect(harness.start(service, env), service).rejects.toThrow(`${service} ended (exit code 78)`);
    await Promise.all(services.map(refused));
  };

  it("is taken by no service when one key of the authority signed it: exit code 78", async () => {
    await start("one", { signatures: [one] }, SERVICES);
  });
  it.each<[string, unknown]>([
    ["one key of the authority twice", { signatures: [one, one] }],
    ["one key of the authority, and a stranger under the other's name", { signatures: [one, strange] }],
    ["both keys, but for the true one", sample.signatures],
  ])("is not taken when it is signed by %s", async (name, signatures) => {
    await start(name, signatures, ["recount"]);
  });
});
