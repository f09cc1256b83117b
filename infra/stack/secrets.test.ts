import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { checkShares, joinRecoveryShares, readRecoveryShare } from "../../shared/platform/recovery.ts";
import { makeSecrets, writeSecrets } from "./secrets.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-secrets-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("an exercise's recovery key", () => {
  it("lies nowhere but in three trustees' shares, of which every two rebuild it", async () => {
    const secrets = await makeSecrets(sampleDefinition().definition);
    const { people } = await writeSecrets(folder, secrets);
    const files = ["trustee-1", "trustee-2", "trustee-3"].map((id) => join(people, `${id}.share.json`));
    for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const shares = await Promise.all(files.map(async (file) => readRecoveryShare(await readFile(file, "utf8"), file)));
    expect(shares.map(({ trustee }) => trustee)).toEqual(["trustee-1", "trustee-2", "trustee-3"]);
    await checkShares(shares, secrets.recovery.publicKey);

    const { d } = await joinRecoveryShares(shares.slice(1), secrets.recovery.publicKey);
    const written = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    expect(written.length).toBeGreaterThan(10);
    for (const entry of written)
      expect(await readFile(join(entry.parentPath, entry.name), "utf8"), entry.name).not.toContain(d);
    expect(JSON.stringify(secrets)).not.toContain(d);
  });

  it("needs three trustees", async () => {
    const { definition } = sampleDefinition();
    const keys = definition.keys.filter(({ id }) => id !== "trustee-3");
    await expect(makeSecrets({ ...definition, keys })).rejects.toThrow("three trustees");
  });
});
