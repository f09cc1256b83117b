import { useState } from "preact/hooks";
import type { Status } from "../../status.ts";
import { addSignature, type Decision, type Envelope, type OwnKey, readEnvelope, readKey, writeDecision } from "./decide.ts";
import { act, ask, type Person } from "./live.ts";

const ALONE: readonly Decision["decision"][] = ["hold"];

/**
 * A trustee's decision, signed in this browser with the trustee's own key: the key is read from a file, never sent and never kept, and what the
 * server gets is signed already. What needs two trustees is saved, brought to the second one, and signed there.
 */
export function Decisions({ status, person }: { status: Status; person: Person }) {
  const [key, setKey] = useState<OwnKey>();
  const [envelope, setEnvelope] = useState<Envelope>();
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState("");
  const attempt = (work: () => Promise<void>) => {
    setProblem("");
    setSaid("");
    work().catch((error: Error) => setProblem(error.message));
  };
  if (!person.roles.includes("trustee")) return <p>Decisions are for trustees.</p>;
  return (
    <>
      <section class="panel">
        <h2>1. Your key</h2>
        <p>It stays in this window, is never sent, and is forgotten when you leave this page.</p>
        <label for="key">The file of your key (a JWK)</label>
        <input
          id="key"
          type="file"
          accept=".json,application/json"
          onChange={(event) => {
            const [file] = event.currentTarget.files ?? [];
            if (file !== undefined) attempt(async () => setKey(readKey(await file.text())));
          }}
        />
        <p>{key === undefined ? "No key yet." : `The key is ${key.kid}.`}</p>
      </section>
      {key !== undefined && (
        <>
          <section class="panel">
            <h2>2. Decide, or cosign</h2>
            <Write
              status={status}
              write={(decision) =>
                attempt(async () => {
                  const { sequence } = await ask<{ sequence: number }>(`/v1/decisions/${encodeURIComponent(key.kid)}`);
                  setEnvelope(addSignature(writeDecision(decision, status.definition, sequence), key));
                })
              }
            />
            <p>
              <label for="cosign">Or load what another trustee has signed</label>
              <input
                id="cosign"
                type="file"
                accept=".json,application/json"
                onChange={(event) => {
                  const [file] = event.currentTarget.files ?? [];
                  if (file !== undefined)
                    attempt(async () => setEnvelope(readEnvelope(await file.text(), status.definition)));
                }}
              />
            </p>
          </section>
          {envelope !== undefined && (
            <section class="panel">
              <h2>3. Read it, sign it, send it</h2>
              <pre class="statement" tabIndex={0}>
                {JSON.stringify(envelope.statement, null, 2)}
              </pre>
              <p>Signed by {envelope.signers.join(", ")}.</p>
              <div class="buttons">
                {!envelope.signers.includes(key.kid) && (
                  <button type="button" onClick={() => attempt(async () => setEnvelope(addSignature(envelope, key)))}>
                    Sign it too
                  </button>
                )}
                <a class="button" download={`${envelope.statement.decision}.json`} href={`data:application/json,${encodeURIComponent(envelope.text)}`}>
                  Save it for the second trustee
                </a>
                {(envelope.signers.length > 1 || ALONE.includes(envelope.statement.decision)) && (
                  <button
                    type="button"
                    onClick={() =>
                      attempt(async () => {
                        const answer = await act<{ status: number; says: string }>("/v1/decisions", { envelope: envelope.text }, person.csrf);
                        setSaid(`The door answers ${answer.status}: ${answer.says}`);
                      })
                    }
                  >
                    Send it
                  </button>
                )}
              </div>
            </section>
          )}
        </>
      )}
      <p role="status">{said}</p>
      <p role="alert">{problem}</p>
    </>
  );
}

function Write({ status, write }: { status: Status; write: (decision: Decision) => void }) {
  const [decision, setDecision] = useState<Decision["decision"]>("hold");
  const [state, setState] = useState("EU");
  const [reason, setReason] = useState("");
  const states = [...(decision === "override" ? [] : ["EU"]), ...status.feeds.map((feed) => feed.state)];
  return (
    <div class="doing">
      <label for="decision">Decision</label>
      <select id="decision" value={decision} onChange={(event) => setDecision(event.currentTarget.value as Decision["decision"])}>
        <option value="hold">hold: nothing of it is published (one trustee)</option>
        <option value="resume">resume: the hold ends (two trustees)</option>
        <option value="override">override: its closure is missing (two trustees)</option>
      </select>
      <label for="about">About</label>
      <select id="about" value={states.includes(state) ? state : states[0]} onChange={(event) => setState(event.currentTarget.value)}>
        {states.map((id) => (
          <option key={id}>{id}</option>
        ))}
      </select>
      <label for="reason">Reason, for the public log</label>
      <textarea id="reason" rows={2} maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
      <button
        type="button"
        disabled={reason.trim().length < 5}
        onClick={() => write({ decision, about: states.includes(state) ? state : (states[0] ?? "EU"), reason: reason.trim() })}
      >
        Sign it here
      </button>
    </div>
  );
}
