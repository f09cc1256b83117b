import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JsonRefusal, type JsonValue, MAX_DEPTH, parseStrict } from "./json.ts";

const parse = (text: string, maxDepth?: number) => parseStrict(Buffer.from(text, "utf8"), maxDepth);
const codeOf = (read: ReturnType<typeof parseStrict>) => (read.kind === "refused" ? read.code : "value");
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("the strict reader", () => {
  it.each<[string, JsonRefusal, number]>([
    ["", "json.syntax", 0],
    [" ", "json.syntax", 1],
    ["[1,]", "json.syntax", 3],
    ["[1 2]", "json.syntax", 3],
    ["[", "json.syntax", 1],
    ["{", "json.syntax", 1],
    ['{"a"}', "json.syntax", 4],
    ['{"a":1,}', "json.syntax", 7],
    ["{a:1}", "json.syntax", 1],
    ["{'a':1}", "json.syntax", 1],
    ['{"a":1]', "json.syntax", 6],
    ["nul", "json.syntax", 0],
    ["NaN", "json.syntax", 0],
    ["1 1", "json.syntax", 2],
    ["[]\u00a0", "json.syntax", 2],
    ['"a', "json.syntax", 2],
    ['"a\nb"', "json.syntax", 2],
    ['"\u0000"', "json.syntax", 1],
    ['"\\n\nb"', "json.syntax", 3],
    ['"\\x"', "json.syntax", 1],
    ['"\\u12"', "json.syntax", 1],
    ['"\\', "json.syntax", 3],
    ["+1", "json.syntax", 0],
    ["-", "json.syntax", 0],
    ["-a", "json.syntax", 0],
    ["01", "json.syntax", 0],
    ["-01", "json.syntax", 0],
    ["\ufeff1", "json.syntax", 0],
    ['{"a":1,"a":1}', "json.duplicate-key", 7],
    ['{"a":1,"\\u0061":2}', "json.duplicate-key", 7],
    ['{"b":{"a":1,"a":2}}', "json.duplicate-key", 12],
    ['{"__proto__":{}}', "json.forbidden-key", 1],
    ['{"\\u005f_proto__":{}}', "json.forbidden-key", 1],
    ["1.5", "json.not-an-integer", 0],
    ["1.0", "json.not-an-integer", 0],
    ["1e3", "json.not-an-integer", 0],
    ["1E3", "json.not-an-integer", 0],
    ["-0", "json.not-an-integer", 0],
    ["[-0]", "json.not-an-integer", 1],
    ["9007199254740992", "json.integer-too-large", 0],
    ["-9007199254740992", "json.integer-too-large", 0],
    ["900719925474099300", "json.integer-too-large", 0],
    ["1".repeat(400), "json.integer-too-large", 0],
    ['"\\ud800"', "json.lone-surrogate", 1],
    ['"\\udc00\\ud800"', "json.lone-surrogate", 1],
    ['{"\\ud800":1}', "json.lone-surrogate", 2],
    [nested(MAX_DEPTH + 1), "json.too-deep", MAX_DEPTH],
    [nested(10_000), "json.too-deep", MAX_DEPTH],
    ['{"a":'.repeat(MAX_DEPTH + 1), "json.too-deep", 5 * MAX_DEPTH],
  ])("refuses %j", (text, code, at) => {
    expect(parse(text)).toEqual({ kind: "refused", code, at });
  });

  it.each([[[0x22, 0xff, 0x22]], [[0x22, 0xc0, 0xaf, 0x22]], [[0x22, 0xed, 0xa0, 0x80, 0x22]], [[0x22, 0xc3]]])(
    "refuses the bytes %j, which are no UTF-8",
    (bytes) => {
      expect(codeOf(parseStrict(Uint8Array.from(bytes)))).toBe("json.not-utf8");
    },
  );

  it.each<[string, JsonValue]>([
    [' { "a" : [ 1 , -2 ] ,\t"b"\r\n: null } ', { a: [1, -2], b: null }],
    ["9007199254740991", 2 ** 53 - 1],
    ["-9007199254740991", -(2 ** 53) + 1],
    ["0", 0],
    ["[]", []],
    ["{}", {}],
    ["[true,false]", [true, false]],
    ['"Părți ñ 😀 \\u00f1 \\ud83d\\ude00 \\" \\\\ \\/"', 'Părți ñ 😀 ñ 😀 " \\ /'],
    ['{"constructor":1,"toString":2}', { constructor: 1, toString: 2 }],
  ])("reads %s", (text, value) => {
    expect(parse(text)).toEqual({ kind: "value", value });
  });

  it("reads as deep as the limit, and no deeper", () => {
    expect(codeOf(parse(nested(MAX_DEPTH)))).toBe("value");
    expect(codeOf(parse(nested(3), 3))).toBe("value");
    expect(codeOf(parse(nested(4), 3))).toBe("json.too-deep");
  });

  it("property: reads what JSON.stringify writes as JSON.parse does", () => {
    const leaf = fc.oneof(
      fc.maxSafeInteger().map((n) => n + 0),
      fc.string({ unit: "grapheme" }),
      fc.boolean(),
      fc.constant(null),
    );
    const key = fc.string({ unit: "grapheme" }).filter((name) => name !== "__proto__");
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof({ maxDepth: 5 }, leaf, fc.array(tie("value")), fc.dictionary(key, tie("value"))),
    }));
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2), (any, indent) => {
        const text = JSON.stringify(any, null, indent);
        expect(parse(text)).toEqual({ kind: "value", value: JSON.parse(text) });
      }),
    );
  });

  it("property: never reads what JSON.parse would not, nor anything else than it, whatever the bytes", () => {
    const pieces = fc.constantFrom(
      ...'{}[],:"\\0123456789-+.eE tfn\n',
      '"a"',
      "true",
      "null",
      "\\u0041",
      "\\ud800",
      "é",
      "\ufeff",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        const read = parse(text);
        if (read.kind === "value") expect(read.value).toEqual(JSON.parse(text));
      }),
      { numRuns: 3_000 },
    );
  });
});
