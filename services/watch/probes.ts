import { z } from "zod";
import type { DoorFetch } from "../../shared/platform/door.ts";
import { type Behind, createBehind, isoOrNull, notSeen, type Seen, see } from "./seen.ts";

/** Addresses of services by name, as JSON text. */
export const ServiceAddresses = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: "custom", message: "is not JSON" });
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string().regex(/^[a-z]{1,32}$/, "names no service"), z.url("holds what is no URL")));

/** A service as its own /healthz and /readyz tell of it. */
export interface ServiceView {
  name: string;
  /** It answers. */
  up: boolean;
  /** It says that it can do its work. */
  ready: boolean;
  /** Since when it is as it is, ISO; null before the first look. */
  since: string | null;
  /** What it says of its parts. */
  checks: Record<string, boolean>;
  /** The service that it says it is; null if it says nothing. */
  answersAs: string | null;
  /** Of what follows the log: up to which entry it is, of how many, and since when it is behind (ISO; null when it is not). */
  position: number | null;
  head: number | null;
  behindSince: string | null;
}

export interface ServiceProbes {
  /** Asks every service once, all at the same time. Never rejects. */
  look(): Promise<void>;
  views(): ServiceView[];
}

/** A service that takes longer is as good as away. */
const ANSWER_MS = 2_000;

/** Of /readyz only yes and no and places in the log are passed on: it says more than is shown here. */
const Place = z.int().nonnegative().optional().catch(undefined);
const Ready = z.object({
  checks: z.record(z.string().max(32), z.boolean()),
  position: Place, // of a count
  head: Place, // of the log, as a count saw it
  size: Place, // of the log, as the ledger has it
  log: Place, // of the log, as release serves it
});
const Healthy = z.object({ service: z.string().max(32).optional() });

interface Probe {
  name: string;
  url: string;
  up: Seen;
  ready: Seen;
  checks: Record<string, boolean>;
  answersAs: string | null;
  position: number | null;
  head: number | null;
  behind: Behind;
}

/** `services`: base addresses by name; `fetchOf` says how one is asked. */
export function createServiceProbes(opts: {
  services: Readonly<Record<string, string>>;
  fetchOf: (service: string) => DoorFetch;
  now: () => number;
}): ServiceProbes {
  const probes = Object.entries(opts.services).map(
    ([name, url]): Probe => ({
      name,
      url,
      up: notSeen(),
      ready: notSeen(),
      checks: {},
      answersAs: null,
      position: null,
      head: null,
      behind: createBehind(),
    }),
  );
  const ask = (probe: Probe, path: string) =>
    opts.fetchOf(probe.name)(new URL(path, probe.url), { signal: AbortSignal.timeout(ANSWER_MS), redirect: "error" });

  const look = async (probe: Probe) => {
    const [health, readiness] = await Promise.allSettled([
      ask(probe, "/healthz").then(async (response) => {
        const { service = null } = Healthy.safeParse(await response.json().catch(() => ({}))).data ?? {};
        return { ok: response.ok, service };
      }),
      ask(probe, "/readyz").then(async (response) => {
        const { checks, position, head, size, log } = Ready.parse(await response.json());
        return { ok: response.ok, checks, position: position ?? log ?? null, head: head ?? size ?? null };
      }),
    ]);
    const up = health.status === "fulfilled" && health.value.ok;
    const none = { ok: false, checks: {}, position: null, head: null };
    const answer = readiness.status === "fulfilled" ? readiness.value : none;
    const now = opts.now();
    probe.up = see(probe.up, up, now);
    probe.ready = see(probe.ready, up && answer.ok, now);
    probe.checks = answer.checks;
    probe.answersAs = health.status === "fulfilled" ? health.value.service : null;
    probe.position = answer.position;
    probe.head = answer.head;
  };

  return {
    async look() {
      await Promise.all(probes.map(look));
      const head = Math.max(0, ...probes.map((probe) => probe.head ?? 0));
      // Of one that gives no answer nobody knows; that it is away is said elsewhere.
      for (const probe of probes)
        if (probe.position !== null) {
          probe.head = head;
          probe.behind.see(probe.position, head, opts.now());
        }
    },
    views: () =>
      probes.map(({ name, up, ready, checks, answersAs, position, head, behind }) => {
        const changed = [up.since, ready.since].filter((at) => at !== null);
        const since = changed.length === 0 ? null : Math.max(...changed);
        const at = { position, head: position === null ? null : head, behindSince: isoOrNull(behind.since()) };
        return { name, up: up.well, ready: ready.well, since: isoOrNull(since), checks, answersAs, ...at };
      }),
  };
}
