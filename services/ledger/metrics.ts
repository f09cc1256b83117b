import type { Counter } from "prom-client";
import type { Metrics } from "../../shared/platform/metrics.ts";

/** The ledger's metrics: how much and how fast, never what was decided. */
export interface LedgerMetrics {
  written(entries: number, size: number, seconds: number): void;
  missing(count: number): void;
  forged: Counter;
  cosigned(witness: string, size: number): void;
}

export function ledgerMetrics(metrics: Metrics): LedgerMetrics {
  const entries = metrics.counter("ledger_entries_total", "Entries written by this process.");
  const size = metrics.gauge("ledger_size", "Size of the log.");
  const missing = metrics.gauge("ledger_sequences_missing", "Sequence numbers missing below the highest of their key.");
  const forged = metrics.counter("ledger_forged_total", "Deliveries that were not authentic.");
  const cosigned = metrics.gauge("ledger_cosigned_size", "Size that a witness has cosigned.", ["witness"]);
  const buckets = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5];
  const seconds = metrics.histogram("ledger_write_seconds", "From judged to committed, of one batch.", [], buckets);
  const sizes = metrics.histogram("ledger_batch_entries", "Entries of one batch.", [], [1, 4, 16, 64, 128, 256]);
  return {
    written(count, now, took) {
      entries.inc(count);
      size.set(now);
      seconds.observe(took);
      sizes.observe(count);
    },
    missing: (count) => missing.set(count),
    forged,
    cosigned: (witness, to) => cosigned.set({ witness }, to),
  };
}
