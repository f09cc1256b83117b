import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { freshFolder, startStack } from "./stack.ts";

it("a folder of a version whose door had no key is refused in a sentence, before anything is started", async () => {
  const folder = await freshFolder();
  try {
    await writeFile(join(folder, "stack.json"), JSON.stringify({ database: "x", users: [], secrets: { vault: "x" } }));
    const said: string[] = [];
    const makeExercise = () => Promise.reject(new Error("not asked for"));
    const started = startStack({ folder, makeExercise, keepData: true, say: (line) => void said.push(line) });
    await expect(started).rejects.toThrow(/holds an exercise of an older version, .* begin another/);
    expect(said).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
