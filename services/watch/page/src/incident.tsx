import { useEffect, useState } from "preact/hooks";
import type { IncidentView, Status } from "../../status.ts";
import { GRAVE } from "./incidents.tsx";
import { act, ask, type Person } from "./live.ts";
import { Ago, Clock, Mark, useNow } from "./ui.tsx";

interface Event {
  kind: string;
  at: string;
  who: string | null;
  says: string | null;
  times: number | null;
  evidence: Record<string, string | number | boolean | null> | null;
}
type Full = IncidentView & { events: Event[] };

/** One incident: what it means, what to do, what happened, and what the operator does with it. */
export function Incident({ id, status, person }: { id: string; status: Status; person: Person }) {
  const now = useNow();
  const [incident, setIncident] = useState<Full>();
  const [problem, setProblem] = useState("");
  const listed = status.incidents.find((one) => one.id === id);
  const version = JSON.stringify([listed?.state, listed?.times, listed?.lasting, listed?.escalations]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew when it has changed
  useEffect(() => {
    ask<Full>(`/v1/incidents/${id}`).then(setIncident, (error: Error) => setProblem(error.message));
  }, [id, version]);
  if (incident === undefined) return <p role="status">{problem || "Loading."}</p>;
  return (
    <>
      <section class="panel">
        <h2>
          <Mark tone={GRAVE[incident.severity]}>{incident.severity}</Mark> {incident.code} {incident.about}
        </h2>
        <p>{incident.means}</p>
        <p>
          <strong>First:</strong> {incident.todo}
        </p>
        <p data-life={incident.state}>
          It is <strong>{incident.state}</strong>
          {incident.who === null ? "" : ` by ${incident.who}`}
          {incident.lasting ? ", and goes on" : ""}. Raised by {incident.service} <Ago iso={incident.raisedAt} now={now} />.
        </p>
        {person.roles.includes("operator") && incident.state !== "closed" && (
          <Doing incident={incident} person={person} done={setIncident} />
        )}
      </section>
      <section class="panel">
        <h2>What happened</h2>
        <ol class="events">
          {incident.events.map((event, n) => (
            <li key={`${event.at} ${n}`}>
              <Clock iso={event.at} /> <strong>{event.kind}</strong>
              {event.who === null ? "" : ` by ${event.who}`}
              {event.says === null ? "" : `: ${event.says}`}
              {event.evidence !== null && (
                <dl class="evidence">
                  {Object.entries(event.evidence).map(([name, value]) => (
                    <>
                      <dt key={name}>{name}</dt>
                      <dd>{String(value)}</dd>
                    </>
                  ))}
                </dl>
              )}
            </li>
          ))}
        </ol>
      </section>
      <Runbook code={incident.code} />
    </>
  );
}

function Doing({ incident, person, done }: { incident: Full; person: Person; done: (incident: Full) => void }) {
  const [says, setSays] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const run = async (what: "acknowledge" | "explain" | "close") => {
    setBusy(true);
    setProblem("");
    try {
      const body = says.trim() === "" ? {} : { says: says.trim() };
      done(await act<Full>(`/v1/incidents/${incident.id}/${what}`, body, person.csrf));
      setSays("");
    } catch (error) {
      setProblem((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="doing">
      <label for="says">What you found, or why</label>
      <textarea id="says" rows={3} maxLength={2000} value={says} onInput={(event) => setSays(event.currentTarget.value)} />
      <div class="buttons">
        {incident.state === "raised" && (
          <button type="button" disabled={busy} onClick={() => run("acknowledge")}>
            Acknowledge
          </button>
        )}
        <button type="button" disabled={busy || says.trim().length < 5} onClick={() => run("explain")}>
          Explain
        </button>
        {incident.state === "explained" && (
          <button type="button" disabled={busy} onClick={() => run("close")}>
            Close
          </button>
        )}
      </div>
      <p role="alert">{problem}</p>
    </div>
  );
}

/** The page of the code, as it is written. */
function Runbook({ code }: { code: string }) {
  const [text, setText] = useState<string>();
  useEffect(() => {
    fetch(`/v1/runbooks/${code}`).then(
      async (response) => setText(response.ok ? await response.text() : undefined),
      () => undefined, // the page works without
    );
  }, [code]);
  if (text === undefined) return null;
  return (
    <section class="panel">
      <h2>What to do</h2>
      <div class="runbook">
        {text
          .split(/\n{2,}/)
          .filter((block) => !block.startsWith("# "))
          .map((block) => (
            <Block key={block} text={block} />
          ))}
      </div>
    </section>
  );
}

/** Of Markdown what the pages use: headings, numbered lists, code blocks, paragraphs. */
function Block({ text }: { text: string }) {
  const lines = text.trim().split("\n");
  if (text.startsWith("## ")) return <h3>{text.slice(3)}</h3>;
  if (text.startsWith("```")) return <pre>{lines.slice(1, -1).join("\n")}</pre>;
  if (lines.every((line) => /^(\d+\.|-) /.test(line)))
    return (
      <ol>
        {lines.map((line) => (
          <li key={line}>{line.replace(/^(\d+\.|-) /, "")}</li>
        ))}
      </ol>
    );
  return <p>{lines.join(" ")}</p>;
}
