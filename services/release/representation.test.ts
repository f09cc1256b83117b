import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bestCoding, JSON_TYPE, prefersCsv, prepare } from "./representation.ts";

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
