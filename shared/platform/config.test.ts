import { generateKeyPairSync } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EX_CONFIG, isLoopback, readPrivateJwk } from "./config.ts";
import { runScript } from "./script-fixture.ts";

const CONFIG = JSON.stringify(new URL("./config.ts", import.meta.url).href);
const EP2024 = new URL("../../infra/elections/ep2024/", import.meta.url);
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-config-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a script with everything of config.ts in `c`. */
const run = (script: string, env: Record<string, string> = {}) =>
  runScript(`const c = await import(${CONFIG}); ${script}`, env);

const SHAPE =
  "{ PORT: c.PORT, HOST: c.HOST, SCRUTIN_KEY_FILE: c.SCRUTIN_KEY_FILE, SCRUTIN_DEFINITION: c.SCRUTIN_DEFINITION }";
const read = (env: Record<string, string>) => run(`console.log(JSON.stringify(c.readConfig("toy", ${SHAPE})))`, env);
const FILES = { SCRUTIN_KEY_FILE: "/k", SCRUTIN_DEFINITION: "/d" };

describe("the configuration", () => {
  it("is read from the environment, with its defaults", async () => {
    const { code, out } = await read(FILES);
    expect([code, JSON.parse(out)]).toEqual([0, { PORT: 0, HOST: "127.0.0.1", ...FILES }]);
    const full = await read({ ...FILES, PORT: "65535", HOST: "::1" });
    expect(JSON.parse(full.out)).toMatchObject({ PORT: 65_535, HOST: "::1" });
  });

  it("is refused with one sentence for each variable that is missing or wrong", async () => {
    const { code, out, err } = await read({ PORT: "65536", HOST: "a b", SCRUTIN_KEY_FILE: "" });
    expect([code, out]).toEqual([EX_CONFIG, ""]);
    const lines = err.trim().split("\n");
    expect(lines.map((line) => line.split(" ").slice(0, 2).join(" ")).sort()).toEqual(
      ["toy: HOST", "toy: PORT", "toy: SCRUTIN_DEFINITION", "toy: SCRUTIN_KEY_FILE"].sort(),
    );
    expect(err).toMatch(/SCRUTIN_KEY_FILE is not set\. Name the file/);
    expect(err).toMatch(/HOST is not an address.* Give 127\.0\.0\.1/);
  });

  it("knows what loopback is", () => {
    for (const host of ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"]) expect(isLoopback(host)).toBe(true);
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.eu", "127.1", "localhost.example.eu", ""])
      expect(isLoopback(host)).toBe(false);
  });
});

describe("the definition", () => {
  const load = (files: Record<string, string>) =>
    run(
      `const l = await c.loadDefinition(process.env);
       console.log(JSON.stringify({ hash: l.hash, bytes: l.bytes.length, seats: l.definition.seats, it: l.register.state("IT")?.seats }));`,
      files,
    );

  async function files(): Promise<Record<string, string>> {
    const { authority } = JSON.parse(await readFile(new URL("definition.json", EP2024), "utf8"));
    const anchors = join(folder, "authority.json");
    await writeFile(anchors, JSON.stringify(authority));
    const path = (name: string) => new URL(name, EP2024).pathname;
    return {
      SCRUTIN_DEFINITION: path("definition.json"),
      SCRUTIN_DEFINITION_SIGNATURES: path("definition.signatures.json"),
      SCRUTIN_AUTHORITY: anchors,
    };
  }

  it("is loaded with its hash and register", async () => {
    const { code, out, err } = await load(await files());
    expect([code, err]).toEqual([0, ""]);
    expect(JSON.parse(out)).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/), seats: 720, it: 76 });
  });

  it("is refused, with the reason, when a byte was changed or a trust root is another's", async () => {
    const good = await files();
    const tampered = join(folder, "tampered.json");
    const text = await readFile(String(good.SCRUTIN_DEFINITION), "utf8");
    await writeFile(tampered, text.replace('"seats":', '"seats" :'));
    const changed = await load({ ...good, SCRUTIN_DEFINITION: tampered });
    expect([changed.code, changed.out]).toEqual([EX_CONFIG, ""]);
    expect(changed.err).toContain("definition.signature-wrong");
    const strangers = join(folder, "strangers.json");
    const publicKey = String(generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }).x);
    await writeFile(
      strangers,
      JSON.stringify([
        { id: "x-1", publicKey },
        { id: "x-2", publicKey },
      ]),
    );
    const untrusted = await load({ ...good, SCRUTIN_AUTHORITY: strangers });
    expect(untrusted.code).toBe(EX_CONFIG);
    expect(untrusted.err).toContain("definition.signatures-missing");
  });

  it("is refused when a file is missing or is not what it should be", async () => {
    const good = await files();
    const broken = join(folder, "broken.json");
    await writeFile(broken, "{");
    for (const [name, path, says] of [
      ["SCRUTIN_DEFINITION", join(folder, "none"), "ENOENT"],
      ["SCRUTIN_DEFINITION_SIGNATURES", broken, "is not JSON"],
      ["SCRUTIN_AUTHORITY", broken, "is not JSON"],
      ["SCRUTIN_AUTHORITY", String(good.SCRUTIN_DEFINITION), "at least two keys"],
    ] as const) {
      const { code, err } = await load({ ...good, [name]: path });
      expect(code).toBe(EX_CONFIG);
      expect(err).toMatch(new RegExp(`^${name}: .*${says}`));
    }
  });
});

describe("a private key", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const signing = { ...privateKey.export({ format: "jwk" }), kid: "ledger-1", alg: "EdDSA" };
  const vault = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });

  async function keep(name: string, content: unknown, mode = 0o600): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
    await chmod(path, mode);
    return path;
  }
  const refusal = async (path: string, curve = "undefined") => {
    const { code, out, err } = await run(`await c.readPrivateJwk(process.env.FILE, ${curve}); console.log("read");`, {
      FILE: path,
    });
    expect([code, out]).toEqual([EX_CONFIG, ""]);
    expect(err).not.toContain(String(signing.d));
    return err;
  };

  it("is read from a file that only its owner may read", async () => {
    const read = await readPrivateJwk(await keep("signing.json", signing), "Ed25519");
    expect(read.kid).toBe("ledger-1");
    expect(Buffer.from(read.publicRaw).toString("base64url")).toBe(signing.x);
    expect(read.privateKey.equals(privateKey)).toBe(true);
    const other = await readPrivateJwk(await keep("vault.json", vault, 0o400), "X25519");
    expect([other.kid, other.privateKey.asymmetricKeyType]).toEqual(["", "x25519"]);
  });

  it.each([0o640, 0o604, 0o620, 0o644, 0o610])("is refused when others have a right to it: %o", async (mode) => {
    expect(await refusal(await keep("open.json", signing, mode))).toMatch(/others may read\. Run: chmod 600/);
  });

  it("is refused, without a word of it, when it is not one", async () => {
    expect(await refusal(join(folder, "nothing"))).toContain("ENOENT");
    expect(await refusal(await keep("a.json", "{"))).toContain("is not a private");
    expect(await refusal(await keep("b.json", { ...signing, d: undefined }))).toContain("is not a private");
    expect(await refusal(await keep("c.json", { ...signing, kid: undefined }))).toContain("has no kid");
    expect(await refusal(await keep("d.json", { ...signing, d: "AAAA" }))).toContain("no usable Ed25519 key");
    expect(await refusal(await keep("e.json", { ...signing, x: "A".repeat(43) }))).toContain("contradicts itself");
    expect(await refusal(await keep("f.json", signing), '"X25519"')).toContain("this needs one for X25519");
  });
});
