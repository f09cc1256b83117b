import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { EX_CONFIG } from "./config.ts";
import { runScript } from "./script-fixture.ts";

/** Where the vault's key comes from, in processes that end when it is refused. */

const MODULE = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
const { definition, vault, recovery, keys } = sampleDefinition();
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-vault-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Which of the two keys was read, and the first bytes of what follows from it. */
const read = (config: Record<string, string>) =>
  runScript(
    `const { readVaultKey } = await import(${MODULE("./vault-keys.ts")});
     const key = await readVaultKey(${JSON.stringify(config)}, ${JSON.stringify({ definition: { vault: definition.vault }, hash: "00".repeat(32) })});
     console.log(key.recipient, Buffer.from(key.secret).toString("hex"));`,
  );

const file = async (name: string, content: string, mode = 0o600) => {
  const path = join(folder, name);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
};
const program = (name: string, body: string, mode = 0o700) => file(name, `#!/bin/sh\n${body}\n`, mode);

describe("the vault's key", () => {
  it("comes from a file or from a program, and may be the recovery key", async () => {
    const own = await file("vault.json", JSON.stringify(vault.jwk));
    const rebuilt = await file("recovery.json", JSON.stringify(recovery.jwk));
    const printed = await program("key-service", `echo noise >&2; test $# = 0 && cat "$(dirname "$0")/vault.json"`);
    const answers = [
      await read({ SCRUTIN_VAULT_KEY_FILE: own }),
      await read({ SCRUTIN_VAULT_KEY_COMMAND: printed }),
      await read({ SCRUTIN_VAULT_KEY_FILE: rebuilt }),
    ];
    expect(answers.map(({ code, err }) => [code, err])).toEqual([0, 0, 0].map((code) => [code, ""]));
    const [first, second, third] = answers.map(({ out }) => out.trim().split(" "));
    expect([first?.[0], second?.[0], third?.[0]]).toEqual(["vault", "vault", "recovery"]);
    expect(new Set([first?.[1], second?.[1], third?.[1]]).size).toBe(1);
  });

  it("is given in one way and no other, and is a key that the definition names", async () => {
    const own = await file("own.json", JSON.stringify(vault.jwk));
    const other = await file("other.json", JSON.stringify(sampleDefinition({ seed: "other" }).vault.jwk));
    const signing = await file("signing.json", JSON.stringify(keys.get("tabulate-1")?.jwk));
    const printed = await program("key", "cat /dev/null");
    const cases: [Record<string, string>, string][] = [
      [{}, "Set either SCRUTIN_VAULT_KEY_FILE or SCRUTIN_VAULT_KEY_COMMAND, and not both."],
      [{ SCRUTIN_VAULT_KEY_FILE: own, SCRUTIN_VAULT_KEY_COMMAND: printed }, "and not both."],
      [
        { SCRUTIN_VAULT_KEY_FILE: other },
        "SCRUTIN_VAULT_KEY_FILE: this is not the key that this definition seals for.",
      ],
      [{ SCRUTIN_VAULT_KEY_FILE: signing }, "holds a key for Ed25519; this needs one for X25519."],
      [{ SCRUTIN_VAULT_KEY_COMMAND: printed }, `what ${printed} printed is not a private Ed25519 or X25519 key`],
    ];
    const answers = await Promise.all(cases.map(([config]) => read(config)));
    for (const [n, { code, out, err }] of answers.entries()) {
      expect([code, out]).toEqual([EX_CONFIG, ""]);
      expect(err).toContain(cases[n]?.[1]);
    }
  });
});

describe("the program that prints the key", () => {
  const command = (path: string, limit_ms?: number) =>
    runScript(
      `const { runKeyCommand } = await import(${MODULE("./key-command.ts")});
       process.stdout.write(await runKeyCommand(${JSON.stringify(path)}, ${limit_ms}));`,
    );

  it("may print up to 64 KiB", async () => {
    const { code, out } = await command(await program("much", "head -c 65536 /dev/zero"));
    expect([code, out.length]).toEqual([0, 65_536]);
  });

  it("is refused with a sentence, and nothing that it said is passed on", async () => {
    await mkdir(join(folder, "a-folder"));
    const cases: [string, string, number?][] = [
      [await program("fails", "echo s3cret; echo s3cret >&2; exit 3"), "failed with exit code 3."],
      [await program("dies", "echo s3cret >&2; kill -KILL $$"), "failed with SIGKILL."],
      [await program("too-much", "head -c 65537 /dev/zero"), "printed more than 65536 bytes."],
      [await program("slow", "echo s3cret; exec cat /dev/zero > /dev/null"), "did not end within 0.3 s.", 300],
      [await program("of-all", "cat /dev/null", 0o722), "can be changed by others than its owner."],
      [await program("of-the-group", "cat /dev/null", 0o770), "can be changed by others than its owner."],
      [await program("not-executable", "cat /dev/null", 0o600), "cannot be run (EACCES)."],
      [join(folder, "nowhere"), "cannot be run (ENOENT)."],
      [join(folder, "a-folder"), "is no file."],
    ];
    const answers = await Promise.all(cases.map(([path, , limit_ms]) => command(path, limit_ms)));
    for (const [n, { code, out, err }] of answers.entries()) {
      const [path, sentence] = cases[n] as [string, string];
      expect([code, out]).toEqual([EX_CONFIG, ""]);
      expect(err.trim().split("\n")).toHaveLength(1);
      expect(err).toContain(`SCRUTIN_VAULT_KEY_COMMAND: ${path} ${sentence}`);
      expect(err).not.toContain("s3cret");
    }
  });

  it.runIf(process.getuid?.() === 0)("is ours or root's: whoever owns it can change it", async () => {
    const path = await program("of-nobody", "echo s3cret");
    await chown(path, 65_534, 65_534);
    const { code, out, err } = await command(path);
    expect([code, out]).toEqual([EX_CONFIG, ""]);
    expect(err).toContain(`SCRUTIN_VAULT_KEY_COMMAND: ${path} belongs to somebody else, who can change it.`);
  });
});
