import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { confirm, printable, styleFor } from "./terminal.ts";

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
