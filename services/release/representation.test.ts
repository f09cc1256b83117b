import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bestCoding, JSON_TYPE, prefersCsv, prepare, rangeOf } from "./representation.ts";

describe("bestCoding", () => {
  it.each([
    [undefined, "identity"],
    ["", "identity"],
    ["gzip, deflate, br", "br"],
    ["gzip, deflate", "gzip"],
    ["GZIP", "gzip"],
    ["br;q=0.5, gzip;q=0.9", "gzip"],
    ["br;q=0, gzip;q=0", "identity"],
    ["br;q=0, *", "gzip"],
    ["*", "br"],
    ["*;q=0", "identity"],
    ["identity, gzip;q=0.5", "identity"],
    ["zstd", "identity"],
    ["br;q=2, gzip", "gzip"],
    ["br;q=x", "identity"],
  ] as const)("%j takes %s", (header, coding) => {
    expect(bestCoding(header)).toBe(coding);
  });
});

describe("prefersCsv", () => {
  it.each([
    [undefined, false],
    ["*/*", false],
    ["application/json", false],
    ["text/csv", true],
    ["text/csv, application/json", false],
    ["text/csv, application/json;q=0.9", true],
    ["text/csv, */*;q=0.1", true],
    ["text/csv;q=0", false],
    ["text/html, application/xhtml+xml, */*;q=0.8", false],
    ["text/*", true],
  ])("%j: %s", (header, csv) => {
    expect(prefersCsv(header)).toBe(csv);
  });
});

describe("rangeOf, of a hundred bytes", () => {
  it.each([
    [undefined, undefined],
    ["bytes=0-0", { from: 0, to: 0 }],
    ["bytes=10-19", { from: 10, to: 19 }],
    ["bytes=90-", { from: 90, to: 99 }],
    ["bytes=90-1000", { from: 90, to: 99 }],
    ["bytes=-1", { from: 99, to: 99 }],
    ["bytes=-1000", { from: 0, to: 99 }],
    ["Bytes= 1-2 ", { from: 1, to: 2 }],
    ["bytes=100-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=2-1", undefined],
    ["bytes=-", undefined],
    ["bytes=0-1,3-4", undefined],
    ["lines=0-1", undefined],
    ["bytes=a-b", undefined],
    ["bytes=1e1-20", undefined],
  ])("%j is %j", (header, range) => {
    expect(rangeOf(header, 100)).toEqual(range);
  });

  it("is nothing of an empty document", () => {
    expect(rangeOf("bytes=-5", 0)).toBe("unsatisfiable");
    expect(rangeOf("bytes=0-", 0)).toBe("unsatisfiable");
  });
});

describe("prepare", () => {
  it("keeps the document in every coding", async () => {
    const text = "Münster ".repeat(2000);
    const { identity, gzip, br } = await prepare(JSON_TYPE, text);
    expect(Buffer.from(identity).toString("utf8")).toBe(text);
    expect(gunzipSync(gzip).toString("utf8")).toBe(text);
    expect(brotliDecompressSync(br).toString("utf8")).toBe(text);
    expect(br.length).toBeLessThan(identity.length);
  });
});
