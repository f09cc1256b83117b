import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** A service's metrics. Names get the prefix `scrutin_`; label values must come from a closed set, never from a request. */
export interface Metrics {
  readonly registry: Registry;
  counter<L extends string = never>(name: string, help: string, labelNames?: readonly L[]): Counter<L>;
  gauge<L extends string = never>(name: string, help: string, labelNames?: readonly L[]): Gauge<L>;
  /** `buckets` are upper bounds in the unit that the name ends with, rising. */
  histogram<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[],
  ): Histogram<L>;
}

const PREFIX = "scrutin_";
const prefixed = (name: string) => (name.startsWith(PREFIX) ? name : PREFIX + name);

/**
 * Metrics in a registry of their own (two services in one test never meet), with the standard `process_` and `nodejs_` ones and
 * the label `service`. Asking twice for one name throws.
 */
export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  const common = (name: string, help: string) => ({ name: prefixed(name), help, registers: [registry] });
  return {
    registry,
    counter: (name, help, labelNames = []) => new Counter({ ...common(name, help), labelNames }),
    gauge: (name, help, labelNames = []) => new Gauge({ ...common(name, help), labelNames }),
    histogram: (name, help, labelNames, buckets) =>
      new Histogram({ ...common(name, help), labelNames, buckets: [...buckets] }),
  };
}
