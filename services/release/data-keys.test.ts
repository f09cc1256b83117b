import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { dataKeyShare } from "../../shared/platform/release-seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import { createDataKeys } from "./data-keys.ts";

const vault = vaultOf(sampleDefinition());
const keyOf = (id: string) => Buffer.alloc(32, id.length);
const sharesOf = (id: string) => [
  dataKeyShare(vault, "recount", id, keyOf(id)),
  dataKeyShare(vault, "tabulate", id, keyOf(id)),
];

describe("joined data keys", () => {
  it("are the data keys of which both counts gave a share", async () => {
    const keys = createDataKeys(async (id) => sharesOf(id));
    expect(Buffer.from((await keys.find("ab")) ?? [])).toEqual(keyOf("ab"));
  });

  it("are asked for once by however many want them, and kept", async () => {
    let asked = 0;
    const keys = createDataKeys(async (id) => {
      asked++;
      return sharesOf(id);
    });
    await Promise.all([keys.find("ab"), keys.find("ab")]);
    await keys.find("ab");
    expect(asked).toBe(1);
    keys.forget("ab");
    await keys.find("ab");
    expect(asked).toBe(2);
  });

  it("are not kept while a share is missing, nor after an error", async () => {
    const found: (Uint8Array[] | Error)[] = [[], sharesOf("ab").slice(1), new Error("away"), sharesOf("ab")];
    const keys = createDataKeys(async () => {
      const next = found.shift() as Uint8Array[] | Error;
      if (next instanceof Error) throw next;
      return next;
    });
    expect(await keys.find("ab")).toBeUndefined();
    expect(await keys.find("ab")).toBeUndefined();
    await expect(keys.find("ab")).rejects.toThrow("away");
    expect(Buffer.from((await keys.find("ab")) ?? [])).toEqual(keyOf("ab"));
  });

  it("are forgotten when there are too many, the longest unused first", async () => {
    const asked: string[] = [];
    const keys = createDataKeys(async (id) => {
      asked.push(id);
      return sharesOf(id);
    }, 2);
    for (const id of ["a", "bb", "a", "ccc", "a", "bb"]) await keys.find(id);
    expect(asked).toEqual(["a", "bb", "ccc", "bb"]);
  });
});
