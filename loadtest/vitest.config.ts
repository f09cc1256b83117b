import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Measurements that need a test's real servers, and the machine for themselves: no part of `npm test`. */
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["loadtest/*.timing.ts"],
    testTimeout: 600_000,
    hookTimeout: 240_000,
    fileParallelism: false,
    reporters: ["verbose"],
  },
});
