import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { printable, quoted, styleFor } from "../../shared/platform/terminal.ts";
import { confirm } from "./terminal.ts";

describe("colours", () => {
  it("are for a terminal, and nowhere else", () => {
    expect(styleFor({ isTTY: true }, {}).bad("x")).toBe("\u001b[31mx\u001b[0m");
    for (const [stream, env] of [
      [{}, {}],
      [{ isTTY: false }, {}],
      [{ isTTY: true }, { NO_COLOR: "1" }],
      [{ isTTY: true }, { TERM: "dumb" }],
    ] as const)
      expect(styleFor(stream, env).bad("x")).toBe("x");
  });
});

describe("text of others", () => {
  it("keeps letters of every script, and shows what would not be seen", () => {
    expect(printable("Žofín – Ελλάδα, Ñandú 1°")).toBe("Žofín – Ελλάδα, Ñandú 1°");
    expect(printable("a\u0000\u001b[1m\u009b\u200b\u202e\u2028\ufeff")).toBe(
      "a\\u{0}\\u{1b}[1m\\u{9b}\\u{200b}\\u{202e}\\u{2028}\\u{feff}",
    );
  });

  it("shows every blank but a single space, and marks that change a letter, as code points", () => {
    expect(printable("a b  c   d ")).toBe("a b \\u{20}c \\u{20}\\u{20}d ");
    const codes = [
      0xa0, 0x1680, 0x2003, 0x3000, 0x3164, 0x115f, 0xffa0, 0x2800, 0x1d159, 0x13441, 0xfe0f, 0x338, 0x20dd,
    ];
    codes.push(0xe0041, 0xe000, 0xad);
    for (const code of codes)
      expect(printable(`a${String.fromCodePoint(code)}b`), code.toString(16)).toBe(`a\\u{${code.toString(16)}}b`);
  });

  it("stands between quotes that it cannot end itself", () => {
    expect(quoted("Eva Novák")).toBe('"Eva Novák"');
    expect(quoted('Eva" and \\u{20}')).toBe('"Eva\\" and \\\\u{20}"');
    expect(quoted("x".repeat(58))).toBe(`"${"x".repeat(58)}"`);
    expect(quoted("x".repeat(59))).toBe(`\n        | "${"x".repeat(59)}\n        | "`);
  });

  it("never fills a row of a terminal so that its own next row begins like one of ours", () => {
    const letter = fc.constantFrom(...' ab-"\\\u3164\u2800\u{20000}é–\n\u0338');
    const text = fc.string({ unit: letter, maxLength: 500 });
    fc.assert(
      fc.property(text, (said) => {
        const rows = quoted(said).split("\n");
        for (const row of rows) expect([...row].reduce((sum, c) => sum + (c < "\u{4e00}" ? 1 : 2), 0)).toBeLessThan(72);
        if (rows.length > 1) expect(rows.shift()).toBe("");
        if (rows.length > 1) for (const row of rows) expect(row).toMatch(/^ {8}\| \S/);
      }),
    );
  });
});

describe("the typed yes", () => {
  const asked = async (typed: string | undefined, isTTY = true) => {
    const input = Object.assign(new PassThrough(), { isTTY });
    const output = new PassThrough();
    const outcome = confirm("sure? ", { input, output, yes: false }).then(
      () => "yes",
      (error: Error) => error.message,
    );
    if (typed === undefined) input.end();
    else input.write(`${typed}\n`);
    return [await outcome, String(output.read() ?? "")];
  };
  it("is the whole word, on a terminal, and the end of input is a no", async () => {
    expect(await asked("yes")).toEqual(["yes", "sure? "]);
    expect(await asked(" yes ")).toEqual(["yes", "sure? "]);
    for (const typed of ["y", "yess", "Yes", "", undefined])
      expect(await asked(typed)).toEqual(['The answer was not "yes".', "sure? "]);
    expect(await asked("yes", false)).toEqual(["There is no terminal to ask on. In a script give --yes.", ""]);
  });
});
