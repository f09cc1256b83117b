import type { Logger } from "pino";
import { type App, createApp, Problem, readBody } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import { MAX_REQUEST_BYTES } from "./request.ts";
import { StateDamaged, type WitnessService } from "./witness.ts";

export interface WitnessAppDeps {
  log: Logger;
  metrics: Metrics;
  witness: WitnessService;
  /** Ends the process: what is on the disk is not what this witness wrote. */
  fail(error: unknown): void;
}

const TEXT = { "content-type": "text/plain; charset=utf-8" };
const NOTHING_HERE =
  "There is nothing at this address. A witness answers POST /add-checkpoint, and GET /<SHA-256 of a log's origin, in hex>/checkpoint.\n";

/**
 * The two calls of C2SP tlog-witness: `POST /add-checkpoint`, and `GET /<sha256 hex of the origin>/checkpoint` to read back what was
 * cosigned last. Their refusals are the protocol's: a status code, and a sentence in plain text.
 */
export function buildApp({ log, metrics, witness, fail }: WitnessAppDeps): App {
  const app = createApp({ service: "witness", log, metrics, ready: async () => ({ ok: true, checks: {} }) });
  const size = metrics.gauge("witness_size", "Size of the tree that was cosigned last.", ["origin"]);
  const forks = metrics.counter("witness_forks_total", "Second trees of one size that a log has signed.");
  app.use("*", async (c, next) => {
    await next();
    // The catalogue's sentence for this status sends offices to ingest.
    if (c.res.status === 404 && c.res.headers.get("content-type")?.startsWith("application/problem+json"))
      c.res = c.text(NOTHING_HERE, 404);
  });
  app.post("/add-checkpoint", async (c) => {
    const body = await readBody(c, MAX_REQUEST_BYTES).catch((error: unknown) => {
      // The catalogue's sentence for this status speaks of statements.
      if (error instanceof Problem && error.code === "statement.too-large") return undefined;
      throw error;
    });
    if (body === undefined)
      return c.text(`The request is larger than ${MAX_REQUEST_BYTES} bytes.\n`, 413, { connection: "close" });
    const answer = await witness.addCheckpoint(body).catch((error: unknown) => {
      if (error instanceof StateDamaged) fail(error);
      throw new Problem("service.error", { cause: error });
    });
    if (answer.kind === "cosigned") {
      size.set({ origin: answer.origin }, answer.size);
      return c.body(answer.line, 200, TEXT);
    }
    if (answer.kind === "other-size") return c.body(`${answer.size}\n`, 409, { "content-type": "text/x.tlog.size" });
    if (answer.kind === "fork") forks.inc();
    return c.text(`${answer.why}\n`, answer.status);
  });
  app.get("/:file{[0-9a-f]{64}}/checkpoint", async (c) => {
    const note = await witness.latest(c.req.param("file"));
    if (note === undefined) return c.text("Nothing was cosigned for that origin.\n", 404);
    return c.body(note, 200, TEXT);
  });
  return app;
}
