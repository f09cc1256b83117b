import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take minutes, most of them waiting for the clock of a night: begun first, they are over when the others are. In this order: the
 * night in real time has beside it those that wait, and the nights with faults and the one in the browser come when it is over.
 */
const LONGEST = [
  "test/night.test.ts",
  "test/embargo-instant.test.ts",
  "test/embargo-clocks-counts.test.ts",
  "test/embargo-clocks-ledger.test.ts",
  "test/detectors.test.ts",
  "test/faults.test.ts",
  "test/dashboard.test.ts",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => LONGEST.findIndex((file) => moduleId.endsWith(file));
    const sorted = await super.sort(files);
    const long = sorted.filter((file) => place(file) >= 0).sort((a, b) => place(a) - place(b));
    return [...long, ...sorted.filter((file) => place(file) < 0)];
  }
}

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["{shared,services,infra,loadtest,test}/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Real servers and whole nights run beside each other, and wait a part of the time: as many as a small machine has cores.
    maxWorkers: 4,
    maxConcurrency: 2,
    sequence: { sequencer: LongestFirst },
    reporters: ["default"],
  },
});
