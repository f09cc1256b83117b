import { useEffect, useState } from "preact/hooks";
import type { IncidentView, Status } from "../../status.ts";
import { ask } from "./live.ts";
import { Ago, Link, Mark, type Tone, useNow } from "./ui.tsx";

export const GRAVE: Record<IncidentView["severity"], Tone> = {
  critical: "bad",
  major: "doubt",
  minor: "quiet",
  notice: "quiet",
};

export function IncidentList({ incidents, now }: { incidents: readonly IncidentView[]; now: number }) {
  if (incidents.length === 0) return <p>None.</p>;
  return (
    <ul class="incident-list">
      {incidents.map((incident) => (
        <li key={incident.id} data-code={incident.code} data-state={incident.state}>
          <Mark tone={incident.state === "closed" ? "quiet" : GRAVE[incident.severity]}>{incident.severity}</Mark>{" "}
          <Link to={`/incidents/${incident.id}`}>
            {incident.code}
            {incident.about === null ? "" : ` ${incident.about}`}
          </Link>{" "}
          <span class="quiet">
            {incident.state}
            {incident.who === null ? "" : ` by ${incident.who}`}
            {incident.lasting ? ", going on" : ""}
            {incident.times > 1 ? `, ${incident.times} times` : ""}
            {incident.escalations > 0 ? ", escalated" : ""}, <Ago iso={incident.raisedAt} now={now} />
          </span>
        </li>
      ))}
    </ul>
  );
}

/** All that are in memory: the open ones first. */
export function Incidents({ status }: { status: Status }) {
  const now = useNow();
  const [all, setAll] = useState<IncidentView[]>(status.incidents);
  const newest = JSON.stringify(status.incidents.map(({ id, state, times }) => [id, state, times]));
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew when one of them has changed
  useEffect(() => {
    ask<{ incidents: IncidentView[] }>("/v1/incidents").then(
      ({ incidents }) => setAll(incidents),
      () => undefined, // what is listed stays; the line above says that the stream is cut
    );
  }, [newest]);
  const open = all.filter(({ state }) => state !== "closed");
  const closed = all.filter(({ state }) => state === "closed");
  return (
    <>
      <section class="panel">
        <h2>Open</h2>
        <IncidentList incidents={open} now={now} />
      </section>
      <section class="panel">
        <h2>Closed</h2>
        <IncidentList incidents={closed} now={now} />
      </section>
    </>
  );
}
