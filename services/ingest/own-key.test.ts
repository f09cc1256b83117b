import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certifyDoor } from "../../infra/stack/certificates.ts";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { doorFetch, pinOf } from "../../shared/platform/door.ts";
import { type Harness, startHarness } from "../../test/harness.ts";

/** The door shows the key that the definition names, or does not open. */

const named = generateKeyPairSync("ec", { namedCurve: "P-256" });
const another = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pins = [pinOf(named.publicKey)];
let harness: Harness;
beforeAll(async () => {
  const sample = sampleDefinition({
    edit: (definition) => {
      definition.door = { pins };
    },
  });
  harness = await startHarness({ sample });
});
afterAll(() => harness.close());

async function files(name: string, privateKey: KeyObject): Promise<Record<string, string>> {
  const [cert, key] = [join(harness.folder, `${name}.pem`), join(harness.folder, `${name}-key.pem`)];
  await writeFile(cert, await certifyDoor(privateKey, Date.now()), { mode: 0o600 });
  await writeFile(key, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return { SCRUTIN_TLS_CERT_FILE: cert, SCRUTIN_TLS_KEY_FILE: key };
}

describe("ingest with a certificate", () => {
  it("opens under a key that the definition names", async () => {
    const { url } = await harness.start("ingest", await files("named", named.privateKey));
    expect(url).toMatch(/^https:/);
    expect((await doorFetch(url, pins)(new URL("/healthz", url))).status).toBe(200);
  });

  it("does not start under another, and says which key it was given", async () => {
    const env = await files("another", another.privateKey);
    const failure = await harness.start("ingest", env, "ingest-another").catch((error: Error) => error.message);
    expect(failure).toContain("exit code 78");
    expect(failure).toContain(
      `SCRUTIN_TLS_CERT_FILE: the certificate's key, ${pinOf(another.publicKey)}, is none of the pins`,
    );
  });

  it("is reached by nobody who is told to send in clear to another machine", async () => {
    const env = { SCRUTIN_INGEST_URL: "http://push.example.eu" };
    const failure = await harness.start("tabulate", env, "tabulate-elsewhere").catch((error: Error) => error.message);
    expect(failure).toContain("exit code 78");
    expect(failure).toContain("SCRUTIN_INGEST_URL: http:// to another machine");
  });
});
