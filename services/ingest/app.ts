import type { Context, Hono } from "hono";
import type { Logger } from "pino";
import type { Definition } from "../../shared/definition/schema.ts";
import { addressName, type Buckets, type Room } from "../../shared/platform/bounds.ts";
import { createApp, type Env, Problem, readBody, remoteAddress } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import { MAX_STATEMENT_BYTES } from "../../shared/statement/jws.ts";
import { leastAnswerBytes } from "../../shared/statement/least-bytes.ts";
import { answerOf } from "./answer.ts";
import type { Bus } from "./bus.ts";
import { type Authentic, admit, charge, type Door } from "./door.ts";
import { DEFAULT_WAIT_S, MAX_WAIT_S } from "./limits.ts";

export interface IngestDeps {
  log: Logger;
  metrics: Metrics;
  definition: Definition;
  door: Omit<Door, "verified">;
  /** By address: charged before anything is read. */
  addresses: Buckets;
  /** Bytes of bodies in hand. */
  room: Room;
  bus: Bus;
}

/** The only door in. */
export function buildApp(deps: IngestDeps): Hono<Env> {
  const { log, metrics, bus } = deps;
  const outcomes = metrics.counter("ingest_statements_total", "Statements by what became of them at the door.", [
    "outcome",
  ]);
  const seconds = metrics.histogram(
    "ingest_verification_seconds",
    "Time of one envelope's signature checks.",
    [],
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1],
  );
  observeLoad(deps);
  const door: Door = { ...deps.door, verified: (s) => seconds.observe(s) };

  const app = createApp({
    service: "ingest",
    log,
    metrics,
    ready: async () => {
      const nats = await bus.well();
      return { ok: nats, checks: { nats } };
    },
  });

  app.post("/v1/statements", async (c) => {
    try {
      const answer = await take(c, { ...deps, door });
      outcomes.inc({ outcome: answer.status === 201 ? "receipt" : "received" });
      return answer;
    } catch (error) {
      outcomes.inc({ outcome: error instanceof Problem ? error.code : "service.error" });
      throw error;
    }
  });

  app.get("/v1/statements/:sha256", async (c) => {
    charge(deps.addresses.take(addressName(remoteAddress(c)), door.now()));
    const sha256 = c.req.param("sha256");
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Problem("request.malformed");
    const index = await bus.find(sha256);
    if (index === undefined) throw new Problem("statement.unknown");
    return c.json({ statement: sha256, index });
  });
  return app;
}

type Inside = Pick<IngestDeps, "definition" | "addresses" | "room" | "bus"> & { door: Door };

async function take(c: Context<Env>, { definition, door, addresses, room, bus }: Inside): Promise<Response> {
  requireMediaType(c);
  const address = addressName(remoteAddress(c));
  charge(addresses.take(address, door.now()));
  const wait_s = waitOf(c.req.header("prefer"));
  // Charged as the bytes come: what is only announced holds no memory, and must not hold the room of others either.
  const held = room.hold(address);
  try {
    const authentic = await admit(door, await readBody(c, MAX_STATEMENT_BYTES, held.grow), address);
    const receipt = authentic.ended
      ? await recall(bus, authentic, door, address)
      : await bus.carry(authentic, wait_s * 1000);
    return receipt === undefined ? received(c, authentic) : answered(c, authentic, receipt, definition);
  } finally {
    held.release();
  }
}

/** A key that has ended may still ask for the receipts of what it sent, its own rotation among it. */
async function recall(bus: Bus, authentic: Authentic, door: Door, address: string): Promise<string> {
  const receipt = await bus.recall(authentic);
  if (receipt !== undefined) return receipt;
  door.alarms.refused("key.ended", authentic.kids, address);
  throw new Problem("key.ended");
}

/**
 * The office's alone; but whoever sees the lines sees how long it is. JSON may end in spaces, and they fill it up to a length in which
 * neither figures nor findings show.
 */
function answered(c: Context<Env>, authentic: Authentic, receipt: string, definition: Definition): Response {
  const answer = JSON.stringify(answerOf(authentic.sha256, receipt));
  const least = leastAnswerBytes(definition, authentic.statement);
  return c.body(answer.padEnd(least), 201, { "content-type": "application/json" });
}

function received(c: Context<Env>, { sha256 }: Authentic): Response {
  const ask = `/v1/statements/${sha256}`;
  c.header("Location", ask);
  return c.json({ statement: sha256, status: "received", ask }, 202);
}

function requireMediaType(c: Context<Env>): void {
  const type = c.req.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/jose" && type !== "application/jose+json") throw new Problem("statement.media-type");
}

/** Seconds of `Prefer: wait=N` (RFC 7240, 4.3); what is not understood is ignored, as the RFC says. */
export function waitOf(prefer: string | undefined): number {
  const asked = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i.exec(prefer ?? "")?.[1];
  return asked === undefined ? DEFAULT_WAIT_S : Math.min(MAX_WAIT_S, Number(asked));
}

/** Two of the largest statements. */
const IN_HAND_STEP_BYTES = 2 * 1024 * 1024;

function observeLoad({ metrics, door, room, bus }: IngestDeps): void {
  const gauge = (name: string, help: string, read: () => number) => {
    const made = metrics.gauge(name, help);
    // Read when asked, so that it is never stale.
    Object.assign(made, { collect: () => made.set(read()) });
  };
  gauge("ingest_verifying", "Signatures being checked.", () => door.verifying.taken);
  // Whole steps: of one statement alone the bytes would tell how many digits its figures have.
  const inHand = () => Math.ceil(room.taken / IN_HAND_STEP_BYTES) * IN_HAND_STEP_BYTES;
  gauge("ingest_bytes_in_hand", "Bytes of bodies being read or carried, in steps of 2 MiB.", inHand);
  gauge("ingest_waiting", "Statements whose receipt is awaited.", () => bus.waiting());
}
