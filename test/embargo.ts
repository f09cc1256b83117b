import { randomBytes } from "node:crypto";
import type { NatsConnection } from "nats";
import type { Child } from "../infra/stack/processes.ts";
import { sampleCommon, signSample } from "../shared/definition/sample.ts";
import type { Statement } from "../shared/statement/types.ts";
import { type DoorAnswer, postAt } from "./door.ts";
import type { Harness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/** What the tests of the gate have in common: a wall taken away, so that the others stand alone, and what a thief of keys would send. */

/** Postgres finds no reason any more, whatever it is asked: its triggers and functions stay, and let everything through. */
export async function takePostgresWallAway(query: Harness["query"]): Promise<void> {
  for (const name of ["ledger.gate_reasons()", "release.gate_reasons()", "ledger.fact_reasons(fact ledger.gate_fact)"])
    await query(
      `create or replace function ${name} returns setof text language sql stable as $$ select null::text where false $$`,
    );
}

/** Ends the process that is there and waits for the one that follows: it has seen no clock, and remembers none. */
export async function restarted(child: Child): Promise<void> {
  const before = child.restarts();
  child.kill("SIGKILL");
  await eventually(() => child.restarts() > before);
  await child.up();
}

/** Waits until this service has read the clocks so often from now on: each look stores a heartbeat. */
export async function looks(bus: NatsConnection, times: number): Promise<void> {
  const beats = bus.subscribe("clock.beat.*");
  await bus.flush();
  let seen = 0;
  for await (const _ of beats) if (++seen === times) break;
}

/** Posts at the door what these keys sign. */
export function post(
  { sample }: Harness,
  ingestUrl: string,
  statement: Statement,
  ...kids: string[]
): Promise<DoorAnswer> {
  return postAt(ingestUrl, signSample(sample, statement, ...kids), 20);
}

/** Every sequence number once, whoever signs; each statement its own nonce. */
export function createSayings({ sample }: Harness) {
  let sequence = 0;
  const common = (state: string) => ({
    ...sampleCommon(sample, state, ++sequence),
    nonce: randomBytes(16).toString("base64url"),
  });
  return {
    override: (about: string): Statement => ({
      type: "decision",
      ...common("EU"),
      decision: "override",
      about,
      reason: "its office is cut off",
    }),
    lift: (atMs: number): Statement => {
      const at = new Date(atMs).toISOString();
      return { type: "lift", ...common("EU"), clocks: { process: at, postgres: at, nats: at } };
    },
    common,
  };
}
