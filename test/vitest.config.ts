import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["{shared,services,infra,loadtest,test}/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Real servers and whole nights run beside each other: more workers than this starve them on four cores.
    maxWorkers: 3,
    reporters: ["default"],
  },
});
