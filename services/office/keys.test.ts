import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compactDecrypt, compactVerify, decodeProtectedHeader, importJWK } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fingerprintOf, readRequest } from "../../shared/statement/enrolment.ts";
import { chooseKey, listKeys, makeKey, type NewKey, openKey } from "./keys.ts";

/** Keys at rest: encrypted, nobody else's, and what another JOSE library makes of them. */

const PASSPHRASE = "four words nobody guesses";
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-keys-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const wanted = (more: Partial<NewKey> = {}): NewKey => {
  return { id: undefined, state: "DE", official: "Ada", backup: false, from: undefined, now: 0, ...more };
};

describe("a key", () => {
  it("opens with its passphrase alone, and is named by its fingerprint", async () => {
    const made = await makeKey(folder, wanted(), PASSPHRASE);
    expect(made.id).toBe(`DE-${fingerprintOf(made.publicKey).replace(" ", "").slice(0, 8)}`);
    const own = await openKey(folder, undefined, PASSPHRASE);
    expect([own.kid, own.publicKey]).toEqual([made.id, made.publicKey]);
    await expect(openKey(folder, undefined, "four words of another")).rejects.toMatchObject({
      code: "passphrase.wrong",
    });
    const file = join(folder, "keys", `${made.id}.key.jwe`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, "utf8")).not.toContain(made.publicKey);
    await chmod(file, 0o644);
    await expect(openKey(folder, undefined, PASSPHRASE)).rejects.toMatchObject({ code: "key.exposed" });
    await chmod(file, 0o600);
  });

  it("is a JWK in a JWE, and its request a JWS, to any JOSE library", async () => {
    const { id } = await chooseKey(folder, undefined);
    const sealed = (await readFile(join(folder, "keys", `${id}.key.jwe`), "utf8")).trim();
    expect(decodeProtectedHeader(sealed)).toMatchObject({
      alg: "PBES2-HS512+A256KW",
      enc: "A256GCM",
      cty: "jwk+json",
      p2c: 600_000,
    });
    const { plaintext } = await compactDecrypt(sealed, Buffer.from(PASSPHRASE), {
      maxPBES2Count: 600_000,
      keyManagementAlgorithms: ["PBES2-HS512+A256KW"],
    });
    const jwk = JSON.parse(Buffer.from(plaintext).toString("utf8")) as { x: string };
    const request = (await readFile(join(folder, "keys", `${id}.request.jws`), "utf8")).trim();
    const verified = await compactVerify(request, await importJWK({ kty: "OKP", crv: "Ed25519", x: jwk.x }, "EdDSA"));
    expect(verified.protectedHeader).toEqual({ alg: "EdDSA", kid: id, typ: "scrutin-enrolment+jws" });
    expect(readRequest(Buffer.from(request))?.key).toEqual({ id, publicKey: jwk.x, state: "DE", official: "Ada" });
  });

  it("a request that anybody changed is none", async () => {
    const { id } = await chooseKey(folder, undefined);
    const request = (await readFile(join(folder, "keys", `${id}.request.jws`), "utf8")).trim();
    for (let n = 0; n < request.length; n += 7) {
      const other = request[n] === "A" ? "B" : "A";
      expect(readRequest(Buffer.from(request.slice(0, n) + other + request.slice(n + 1)))).toBeUndefined();
    }
  });

  it("is never overwritten, and one of several is named", async () => {
    const { id } = await chooseKey(folder, undefined);
    await expect(makeKey(folder, wanted({ id }), PASSPHRASE)).rejects.toMatchObject({ code: "file.exists" });
    await makeKey(folder, wanted({ id: "DE-backup", backup: true }), PASSPHRASE);
    expect((await chooseKey(folder, undefined)).id).toBe(id);
    await makeKey(folder, wanted({ id: "DE-other" }), PASSPHRASE);
    await expect(chooseKey(folder, undefined)).rejects.toMatchObject({ code: "key.missing" });
    expect((await openKey(folder, "DE-other", PASSPHRASE)).kid).toBe("DE-other");
    expect(await listKeys(folder)).toHaveLength(3);
  });

  it("can be one that there is already", async () => {
    const jwk = {
      kty: "OKP",
      crv: "Ed25519",
      d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
      x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    };
    const file = join(folder, "practice.json");
    await writeFile(file, JSON.stringify({ ...jwk, kid: "DE-1" }), { mode: 0o600 });
    const made = await makeKey(join(folder, "two"), wanted({ from: file }), PASSPHRASE);
    expect([made.id, made.publicKey]).toEqual(["DE-1", jwk.x]);
  });
});
