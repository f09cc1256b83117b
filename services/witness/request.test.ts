import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTestLog } from "../../test/witnesses.ts";
import { MAX_PROOF_LINES, MAX_REQUEST_BYTES, readRequest } from "./request.ts";

const bytes = (text: string) => Buffer.from(text, "utf8");
const hash = Buffer.alloc(32, 7).toString("base64");

// The example of C2SP tlog-witness.
const EXAMPLE = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`;

describe("a request to add a checkpoint", () => {
  it("reads as the specification's example", () => {
    const read = readRequest(bytes(EXAMPLE));
    expect(read).toMatchObject({ oldSize: 20_852_014 });
    expect(read?.proof).toHaveLength(4);
    expect(read?.note.startsWith("example.com/behind-the-sofa\n20852163\n")).toBe(true);
  });

  it("may have no proof, and no more than 63 lines of one", () => {
    expect(readRequest(bytes("old 0\n\nx\n"))).toEqual({ oldSize: 0, proof: [], note: "x\n" });
    const lines = (count: number) => `old 5\n${`${hash}\n`.repeat(count)}\nx\n`;
    expect(readRequest(bytes(lines(MAX_PROOF_LINES)))?.proof).toHaveLength(63);
    expect(readRequest(bytes(lines(MAX_PROOF_LINES + 1)))).toBeUndefined();
  });

  it("with the longest proof and sixteen signatures fits the limit", async () => {
    const log = createTestLog(`results.example.eu/${"x".repeat(200)}`);
    log.grow(3);
    const lines = (await log.note(3)) + `— ${"w".repeat(255)} ${Buffer.alloc(76).toString("base64")}\n`.repeat(15);
    expect(MAX_PROOF_LINES * (hash.length + 1) + lines.length + 30).toBeLessThan(MAX_REQUEST_BYTES);
  });

  it.each([
    ["nothing", ""],
    ["no old size", `${hash}\n\nx\n`],
    ["an old size with a leading zero", "old 05\n\nx\n"],
    ["a negative old size", "old -5\n\nx\n"],
    ["an old size with a sign", "old +5\n\nx\n"],
    ["an old size beyond 2^53", "old 9007199254740993\n\nx\n"],
    ["an old size in hexadecimal", "old 0x5\n\nx\n"],
    ["two spaces", "old  5\n\nx\n"],
    ["a carriage return", "old 5\r\n\r\nx\n"],
    ["no empty line", `old 5\n${hash}\nx\n`],
    ["a short hash", `old 5\n${hash.slice(4)}\n\nx\n`],
    ["a hash without its padding", `old 5\n${hash.slice(0, -1)}\n\nx\n`],
    ["a hash in base64url", `old 5\n${hash.replace(/^./, "_")}\n\nx\n`],
    ["a hash with a space", `old 5\n ${hash}\n\nx\n`],
    ["a byte order mark", "\ufeffold 5\n\nx\n"],
  ])("is none with %s", (_, text) => {
    expect(readRequest(bytes(text))).toBeUndefined();
  });

  it("is none when it is not UTF-8", () => {
    expect(readRequest(Buffer.concat([bytes("old 5\n\nx"), Uint8Array.of(0xff, 0x0a)]))).toBeUndefined();
  });

  it("never makes the reader throw", () => {
    const part = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("old ", "5", "\n", "\n\n", hash, "— "));
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        readRequest(bytes(parts.join("")));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (raw) => {
        readRequest(raw);
      }),
    );
  });
});
