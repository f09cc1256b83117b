import { z } from "zod";
import type { DoorFetch } from "../../shared/platform/door.ts";
import { isoOrNull, notSeen, type Seen, see } from "./seen.ts";

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
}

export interface ServiceProbes {
  /** Asks every service once, all at the same time. Never rejects. */
  look(): Promise<void>;
  views(): ServiceView[];
}

/** A service that takes longer is as good as away. */
const ANSWER_MS = 2_000;

/** Of /readyz only yes and no are passed on: it says more than is shown here. */
const Ready = z.object({ checks: z.record(z.string().max(32), z.boolean()) });

interface Probe {
  name: string;
  url: string;
  up: Seen;
  ready: Seen;
  checks: Record<string, boolean>;
}

/** `services`: base addresses by name; `fetchOf` says how one is asked. */
export function createServiceProbes(opts: {
  services: Readonly<Record<string, string>>;
  fetchOf: (service: string) => DoorFetch;
  now: () => number;
}): ServiceProbes {
  const probes = Object.entries(opts.services).map(
    ([name, url]): Probe => ({ name, url, up: notSeen(), ready: notSeen(), checks: {} }),
  );
  const ask = (probe: Probe, path: string) =>
    opts.fetchOf(probe.name)(new URL(path, probe.url), { signal: AbortSignal.timeout(ANSWER_MS), redirect: "error" });

  const look = async (probe: Probe) => {
    const [health, readiness] = await Promise.allSettled([
      ask(probe, "/healthz").then(async (response) => {
        await response.arrayBuffer(); // a body that nobody reads holds its connection
        return response.ok;
      }),
      ask(probe, "/readyz").then(async (response) => {
        const { checks } = Ready.parse(await response.json());
        return { ok: response.ok, checks };
      }),
    ]);
    const up = health.status === "fulfilled" && health.value;
    const answer = readiness.status === "fulfilled" ? readiness.value : { ok: false, checks: {} };
    const now = opts.now();
    probe.up = see(probe.up, up, now);
    probe.ready = see(probe.ready, up && answer.ok, now);
    probe.checks = answer.checks;
  };

  return {
    async look() {
      await Promise.all(probes.map(look));
    },
    views: () =>
      probes.map(({ name, up, ready, checks }) => {
        const changed = [up.since, ready.since].filter((at) => at !== null);
        const since = changed.length === 0 ? null : Math.max(...changed);
        return { name, up: up.well, ready: ready.well, since: isoOrNull(since), checks };
      }),
  };
}
