import { describe, expect, it } from "vitest";
import { createProgress } from "./progress.ts";

function shown(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  let now = 0;
  const progress = createProgress({ isTTY, columns, write: (text) => written.push(text) }, () => now);
  progress.begin("entries", 1000);
  for (let done = 100; done <= 1000; done += 100) {
    now += 50;
    progress.at(done);
  }
  progress.end();
  return written;
}

describe("the progress bar", () => {
  it("is drawn on a terminal, now and then, within its width, and taken away", () => {
    const written = shown(true, 50);
    expect(written.length).toBeLessThan(9);
    expect(written[0]).toContain("0/1000");
    expect(written.at(-2)).toContain("█".repeat(30));
    expect(written.at(-1)).toBe("\r\x1b[K");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how a line is taken away
    expect(written.every((text) => text.replace(/^\r\x1b\[K/, "").length < 50)).toBe(true);
  });

  it("is nothing at all elsewhere", () => {
    expect(shown(false)).toEqual([]);
  });
});
