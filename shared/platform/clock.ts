/** The time now, milliseconds since 1970 UTC. The only place that reads the clock for the services; tests hand in their own. */
export function systemClock(): number {
  return Date.now();
}
