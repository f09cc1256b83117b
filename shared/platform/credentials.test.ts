import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issue, makeAuthority } from "../../infra/stack/certificates.ts";
import { EX_CONFIG, readConfig } from "./config.ts";
import { DATABASE, LISTEN, NATS, readDatabase, readListen, readNats } from "./credentials.ts";

/** Files of one client's certificate, of another's, and of what goes with them. */
const files = { ca: "", cert: "", key: "", otherKey: "", exposed: "", password: "", nkey: "", garbage: "" };
const secrets: string[] = [];
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-credentials-"));
  const now = Date.now();
  const authority = await makeAuthority("test", now);
  const [one, other] = await Promise.all(
    ["one", "other"].map((name) => issue(authority, { name, for: "client", now })),
  );
  const keep = async (name: keyof typeof files, text: string, mode = 0o600) => {
    files[name] = join(folder, name);
    await writeFile(files[name], text);
    await chmod(files[name], mode);
  };
  await keep("ca", authority.pem, 0o644);
  await keep("cert", one?.cert ?? "", 0o644);
  await keep("key", one?.key ?? "");
  await keep("otherKey", other?.key ?? "");
  await keep("exposed", one?.key ?? "", 0o640);
  await keep("password", "p@ss/word?\n");
  await keep("nkey", "SUXXXX");
  await keep("garbage", "-----BEGIN hunter2-----");
  secrets.push(one?.key.split("\n")[1] ?? "", other?.key.split("\n")[1] ?? "", "p@ss", "hunter2");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  code: number | undefined;
  out: string;
  err: string;
}

const READERS = { LISTEN: readListen, NATS: readNats, DATABASE: readDatabase };
const GROUPS = { LISTEN, NATS, DATABASE };

class Exited extends Error {}

/** What a service of this group of variables reads, and what it says when it refuses to: here, with an environment of its own. */
async function read(group: keyof typeof GROUPS, env: Record<string, string>): Promise<Ended> {
  const before = { env: process.env, exit: process.exit, write: process.stderr.write };
  const ended: Ended = { code: undefined, out: "", err: "" };
  process.env = { ...env };
  process.exit = ((code: number) => {
    ended.code = code;
    throw new Exited();
  }) as typeof process.exit;
  process.stderr.write = ((text: string) => {
    ended.err += text;
    return true;
  }) as typeof process.stderr.write;
  try {
    const config = readConfig("toy", GROUPS[group]);
    ended.out = JSON.stringify(await READERS[group](config as never));
  } catch (error) {
    if (!(error instanceof Exited)) throw error;
  } finally {
    process.env = before.env;
    process.exit = before.exit;
    process.stderr.write = before.write;
  }
  return ended;
}

async function refused(group: Parameters<typeof read>[0], env: Record<string, string>): Promise<string> {
  const { code, out, err } = await read(group, env);
  expect([code, out], err).toEqual([EX_CONFIG, ""]);
  for (const secret of secrets) expect(err).not.toContain(secret);
  return err;
}

describe("where a service listens", () => {
  const TLS = () => ({ SCRUTIN_TLS_CERT_FILE: files.cert, SCRUTIN_TLS_KEY_FILE: files.key });

  it("is loopback, or anywhere with TLS", async () => {
    expect(JSON.parse((await read("LISTEN", {})).out)).toEqual({ host: "127.0.0.1", port: 0 });
    const open = JSON.parse((await read("LISTEN", { HOST: "0.0.0.0", PORT: "443", ...TLS() })).out);
    expect(open).toMatchObject({ host: "0.0.0.0", port: 443, tls: { cert: expect.stringContaining("CERTIFICATE") } });
  });

  it.each(["0.0.0.0", "::", "10.0.0.1", "push.example.eu", "127.0.0.1.example.eu"])(
    "is not %s in clear",
    async (HOST) => {
      const err = await refused("LISTEN", { HOST });
      expect(err).toMatch(
        /^HOST: .* is not a loopback address.* Set SCRUTIN_TLS_CERT_FILE and SCRUTIN_TLS_KEY_FILE\.\n$/,
      );
    },
  );

  it("takes a certificate only with its own key, which nobody else may read", async () => {
    const { SCRUTIN_TLS_CERT_FILE, SCRUTIN_TLS_KEY_FILE } = TLS();
    expect(await refused("LISTEN", { SCRUTIN_TLS_CERT_FILE })).toContain("belong together");
    expect(await refused("LISTEN", { SCRUTIN_TLS_KEY_FILE })).toContain("belong together");
    const given = (key: string, cert = SCRUTIN_TLS_CERT_FILE) =>
      refused("LISTEN", { SCRUTIN_TLS_CERT_FILE: cert, SCRUTIN_TLS_KEY_FILE: key });
    expect(await given(files.otherKey)).toContain("is not the private key");
    expect(await given(files.garbage)).toContain("is not the private key");
    expect(await given(files.exposed)).toContain("others may read. Run: chmod 600");
    expect(await given(join(folder, "none"))).toContain("ENOENT");
    expect(await given(files.key, files.garbage)).toContain("holds no certificate in PEM");
  });

  it.runIf(process.getuid?.() === 0)("takes no secret of somebody else", async () => {
    const theirs = join(folder, "theirs");
    await writeFile(theirs, "secret", { mode: 0o600 });
    await chown(theirs, 65_534, 65_534);
    expect(await refused("LISTEN", { SCRUTIN_TLS_CERT_FILE: files.cert, SCRUTIN_TLS_KEY_FILE: theirs })).toContain(
      "belongs to somebody else",
    );
  });
});

describe("the way to NATS", () => {
  const TLS = () => ({
    NATS_NKEY_FILE: files.nkey,
    NATS_CA_FILE: files.ca,
    NATS_CERT_FILE: files.cert,
    NATS_CERT_KEY_FILE: files.key,
  });

  it("is plain on loopback, and TLS with all that proves who is who elsewhere", async () => {
    const plain = await read("NATS", { NATS_URL: "nats://127.0.0.1:4222,nats://[::1]:4222" });
    expect(JSON.parse(plain.out)).toEqual({ url: "nats://127.0.0.1:4222,nats://[::1]:4222" });
    const names = "tls://n1.example.eu:4222,tls://n2.example.eu:4222";
    for (const NATS_URL of [names, "tls://127.0.0.1:4222"]) {
      const { ca, cert, key } = JSON.parse((await read("NATS", { NATS_URL, ...TLS() })).out).tls;
      expect([ca, cert, key].map((pem: string) => pem.split("-----")[1])).toEqual([
        "BEGIN CERTIFICATE",
        "BEGIN CERTIFICATE",
        "BEGIN PRIVATE KEY",
      ]);
    }
  });

  it.each([
    ["nats://10.0.0.1:4222", "names another machine without TLS"],
    ["nats://127.0.0.1:4222,nats://n.example.eu:4222", "names another machine without TLS"],
    ["nats://127.0.0.1.example.eu:4222", "names another machine without TLS"],
    ["nats://127.0.0.1:4222,tls://n.example.eu:4222", "mixes"],
    ["tls://10.0.0.1:4222", "by its address"],
    ["tls://[2001:db8::1]:4222", "by its address"],
    ["nats://127.0.0.1:4222", "Give tls://, or leave the certificate out"],
    ["nats://user:p@ss@127.0.0.1:4222", "holds a password"],
    ["http://127.0.0.1:4222", "is not a nats:// or tls:// URL"],
    ["nats://127.0.0.1:x", "is not a list of URLs"],
    ["nats://", "names another machine without TLS"],
  ])("is not %s: %s", async (NATS_URL, why) => {
    expect(await refused("NATS", { NATS_URL, ...TLS() })).toContain(why);
  });

  it.each(["NATS_NKEY_FILE", "NATS_CA_FILE", "NATS_CERT_FILE", "NATS_CERT_KEY_FILE"])(
    "needs %s with TLS",
    async (name) => {
      const err = await refused("NATS", { NATS_URL: "tls://n.example.eu:4222", ...TLS(), [name]: "" });
      expect(err).toContain("each side proves who it is");
    },
  );

  it("takes no key that others may read", async () => {
    const env = { NATS_URL: "tls://n.example.eu:4222", ...TLS(), NATS_CERT_KEY_FILE: files.exposed };
    expect(await refused("NATS", env)).toContain("others may read");
  });
});

describe("the way to Postgres", () => {
  const tls = (changes: Record<string, string | undefined> = {}) => {
    const all = { sslmode: "verify-full", sslrootcert: files.ca, sslcert: files.cert, sslkey: files.key, ...changes };
    const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
    return new URLSearchParams(given).toString();
  };
  const far = (query: string) => ({
    DATABASE_URL: `postgres://toy@db.example.eu/scrutin?${query}`,
    SCRUTIN_DATABASE_PASSWORD_FILE: files.password,
  });

  it("takes its password from a file, and what TLS needs from others", async () => {
    const near = {
      DATABASE_URL: "postgres://toy@127.0.0.1:5432/scrutin",
      SCRUTIN_DATABASE_PASSWORD_FILE: files.password,
    };
    const { url } = JSON.parse((await read("DATABASE", near)).out);
    expect(decodeURIComponent(new URL(url).password)).toBe("p@ss/word?");
    const socket = await read("DATABASE", { DATABASE_URL: "postgres:///scrutin?host=/var/run/postgresql" });
    const named = { ...near, DATABASE_URL: "postgres://toy@localhost/scrutin?host=/var/run/postgresql" };
    expect(new URL(JSON.parse((await read("DATABASE", named)).out).url).password).not.toBe("");
    const nowhere = { ...near, DATABASE_URL: "postgres:///scrutin?host=/var/run/postgresql" };
    expect(await refused("DATABASE", nowhere)).toContain("names no host");
    expect(JSON.parse(socket.out)).toEqual({ url: "postgres:///scrutin?host=%2Fvar%2Frun%2Fpostgresql" });
    const secured = JSON.parse((await read("DATABASE", far(tls()))).out);
    expect(secured.url).toBe(`postgres://toy:${new URL(url).password}@db.example.eu/scrutin`);
    expect(Object.keys(secured.tls).sort()).toEqual(["ca", "cert", "key"]);
  });

  it.each([
    ["no TLS", ""],
    ["no check of the name", "sslmode"],
    ["no authority", "sslrootcert"],
    ["no certificate", "sslcert"],
    ["no key", "sslkey"],
  ])("is not to another machine with %s", async (_, missing) => {
    const query = missing === "" ? "" : tls({ [missing]: missing === "sslmode" ? "require" : undefined });
    expect(await refused("DATABASE", far(query))).toContain(
      "sslmode=verify-full&sslrootcert=FILE&sslcert=FILE&sslkey=FILE",
    );
  });

  it("is not to another machine without a password, with another's key, or with one that others may read", async () => {
    const { DATABASE_URL } = far(tls());
    expect(await refused("DATABASE", { DATABASE_URL })).toContain("not for all of it");
    expect(await refused("DATABASE", far(tls({ sslkey: files.otherKey })))).toContain("is not the private key");
    expect(await refused("DATABASE", far(tls({ sslkey: files.exposed })))).toContain("others may read");
  });

  it.each([
    ["postgres://toy:p@ss@127.0.0.1/scrutin", "holds a password"],
    ["postgres://toy@127.0.0.1/scrutin?password=hunter2", "holds a password"],
    ["postgres://toy@127.0.0.1/scrutin?host=db.example.eu", "names another machine without TLS"],
    ["postgres://toy@127.0.0.1/scrutin?ssl=false", "has an unknown parameter"],
    ["postgres://toy@127.0.0.1/scrutin?uselibpqcompat=true", "has an unknown parameter"],
    ["mysql://toy@127.0.0.1/scrutin", "is not a postgres:// URL"],
    ["postgres://toy@:x/", "is not a postgres:// URL"],
  ])("is not %s: %s", async (DATABASE_URL, why) => {
    expect(await refused("DATABASE", { DATABASE_URL })).toContain(why);
  });
});
