import { describe, expect, it } from "vitest";
import { signDefinition } from "../../definition/sign.ts";
import { testDefinition, testKey, testPublicKey } from "../../definition/test-definition.ts";
import type { Client } from "./client.ts";
import { takeDefinition } from "./definition.ts";

const IDS = ["authority-1", "authority-2", "authority-3"];

/** A definition whose authority has three keys, with all that is served of it. */
function served({ signers = IDS, edit = (text: string) => text, falseFor = "" } = {}): Client {
  const definition = testDefinition();
  definition.keys = definition.keys.filter(({ role }) => role !== "ledger");
  definition.keys.push({ id: "ledger-1", role: "ledger", publicKey: testPublicKey("ledger-1") });
  definition.authority = IDS.map((id) => ({ id, publicKey: testPublicKey(id) }));
  const bytes = Buffer.from(edit(JSON.stringify(definition)));
  const { signatures } = signDefinition(
    bytes,
    signers.map((id) => ({ id, privateKey: testKey(id) })),
  );
  const [wrong] = signDefinition(Buffer.from("{}"), [
    { id: "authority-3", privateKey: testKey("authority-3") },
  ]).signatures;
  const shown = signatures.map((part, n) =>
    signers[n] === falseFor ? { ...part, signature: wrong!.signature } : part,
  );
  const files: Record<string, Buffer> = {
    "/v1/definition": bytes,
    "/v1/definition/signatures": Buffer.from(JSON.stringify({ signatures: shown })),
  };
  return {
    get: async (path, maxBytes) => {
      const body = files[path]!.subarray(0, maxBytes + 1);
      return { status: 200, body, problem: undefined, location: undefined };
    },
    close: () => undefined,
  };
}
const keysOf = (...ids: string[]) => ids.map((id) => ({ id: undefined, publicKey: testPublicKey(id) }));

describe("the definition", () => {
  it("is signed by those whose signatures hold, and by nobody else", async () => {
    const all = await takeDefinition(served(), []);
    expect([all.signedBy, all.signatures.map(({ key }) => key), all.trusted]).toEqual([IDS, IDS, []]);
    const two = await takeDefinition(served({ signers: ["authority-3", "authority-1"] }), keysOf("authority-1"));
    expect([two.signedBy, two.trusted]).toEqual([["authority-3", "authority-1"], ["authority-1"]]);
    const stranger = served({ signers: [...IDS, "stranger"] });
    const held = await takeDefinition(stranger, keysOf("authority-1", "authority-2"));
    expect([held.signedBy, held.signatures.map(({ key }) => key)]).toEqual([IDS, IDS]);
  });

  it.each([[[]], [["authority-1"]], [["authority-1", "authority-2"]]])(
    "with a third signature that does not hold is refused, whatever keys are trusted (%j)",
    async (trusted) => {
      const lied = takeDefinition(served({ falseFor: "authority-3" }), keysOf(...trusted));
      await expect(lied).rejects.toMatchObject({
        code: "definition.refused",
        message: expect.stringContaining("signature by authority-3 does not hold"),
      });
    },
  );

  it("that a trusted key has not signed is not trusted", async () => {
    const lied = takeDefinition(
      served({ signers: ["authority-1", "authority-2"] }),
      keysOf("authority-1", "authority-3"),
    );
    await expect(lied).rejects.toMatchObject({
      code: "definition.untrusted",
      message: expect.stringContaining("authority-3, whose key you trust, has not signed"),
    });
  });

  it("is found behind a text that reads like the name of its keys", async () => {
    const moved = (text: string) =>
      text.replace('{"type"', '{"title":"authority","type"').replace(/,"title":"[^"]*"/, "");
    expect((await takeDefinition(served({ edit: moved }), [])).definition.title).toBe("authority");
  });

  it.each<[string, (text: string) => string, RegExp]>([
    ["a page", () => "<html>", /names no keys of an authority/],
    [
      "a list of keys without end",
      (text) => text.replace('"authority":[', `"authority":[${"0,".repeat(100_000)}`),
      /no keys/,
    ],
    ["more bytes than a definition has", (text) => text.padEnd(16 * 1024 * 1024 + 1), /more than 16777216 bytes/],
  ])("that is %s is refused", async (_, edit, message) => {
    await expect(takeDefinition(served({ edit }), [])).rejects.toMatchObject({
      code: "definition.refused",
      message: expect.stringMatching(message),
    });
  });

  it("takes its keys from the first sixteen of the list", async () => {
    const many = Array.from({ length: 20 }, (_, n) => `{"id":"x-${n}","publicKey":"${testPublicKey(`x-${n}`)}"},`);
    const lied = served({ edit: (text) => text.replace('"authority":[', `"authority":[${many.join("")}`) });
    await expect(takeDefinition(lied, [])).rejects.toMatchObject({
      code: "definition.refused",
      message: expect.stringContaining("0 of the trusted ones did"),
    });
  });
});
