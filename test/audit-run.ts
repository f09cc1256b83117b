import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type AuditIo, type AuditOptions, audit } from "../services/audit/audit.ts";
import type { Report } from "../services/audit/report.ts";
import type { DiscrepancyCode } from "../shared/platform/publisher/discrepancy.ts";
import type { Served } from "./audit-published.ts";
import { type FileServer, startFileServer } from "./audit-server.ts";

/** Audits of what a test serves, in the test's own process. */
export interface AuditRun {
  server: () => FileServer;
  /** A state file that no other run has. */
  freshState(): string;
  run(options?: Partial<AuditOptions>, io?: Partial<AuditIo>): Promise<Report>;
  /** Serves the files, audits them, and answers what is wrong. */
  failureOf(files: Map<string, Served>, options?: Partial<AuditOptions>): Promise<Report["failure"]>;
  /** The same, and it must be this. */
  refused(files: Map<string, Served>, expected: Expected, options?: Partial<AuditOptions>): Promise<void>;
}

export function auditRun(): AuditRun {
  let folder = "";
  let server: FileServer;
  let states = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "scrutin-audit-"));
    server = await startFileServer();
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });
  const freshState = () => join(folder, `${++states}.json`);
  const run = (options: Partial<AuditOptions> = {}, io: Partial<AuditIo> = {}) =>
    audit(
      {
        url: server.url,
        definitionKeys: [],
        witnesses: [],
        files: { receipts: [], proofs: [], evidence: [] },
        stateFile: freshState(),
        visit: undefined,
        isNamedState: false,
        every: false,
        seed: 1,
        ...options,
      },
      {
        signal: new AbortController().signal,
        now: () => new Date("2024-06-10T00:00:00Z"),
        progress: { begin: () => undefined, at: () => undefined, end: () => undefined },
        requestPatienceMs: 2_000,
        patienceMs: 0,
        threads: 1,
        ...io,
      },
    );
  const failureOf: AuditRun["failureOf"] = async (files, options) => {
    server.serve(files);
    return (await run(options)).failure;
  };
  return {
    server: () => server,
    freshState,
    run,
    failureOf,
    async refused(files, { code, index, path, what, who }, options) {
      const failure = await failureOf(files, options);
      expect(failure?.code).toBe(code);
      if (index !== undefined) expect(failure?.index).toBe(index);
      if (path !== undefined) expect(failure?.path).toMatch(path);
      if (what !== undefined) expect(failure?.what).toMatch(what);
      if (who !== undefined) expect(failure?.who).toMatch(who);
    },
  };
}

/** What a failure must at least be. */
export interface Expected {
  code: DiscrepancyCode;
  index?: number;
  path?: string | RegExp;
  what?: RegExp;
  who?: RegExp;
}
