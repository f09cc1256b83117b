import type { Status } from "../../status.ts";
import { feedTone } from "./feed.ts";
import { IncidentList } from "./incidents.tsx";
import { UnionMap } from "./map.tsx";
import { Sparkline } from "./sparkline.tsx";
import { Ago, bytes, Clock, Link, Mark, number, percent, span, type Tone, useNow } from "./ui.tsx";

/** What the control room sees all night. */
export function Dashboard({ status }: { status: Status }) {
  const now = useNow();
  const open = status.incidents.filter(({ state }) => state !== "closed");
  return (
    <div class="dashboard">
      <Promises status={status} />
      <Embargo status={status} now={now} />
      <section class="panel incidents" aria-labelledby="incidents-title">
        <h2 id="incidents-title">
          <Link to="/incidents">Incidents</Link> <span class="quiet">{open.length} open</span>
        </h2>
        <IncidentList incidents={open.slice(0, 8)} now={now} />
      </section>
      <section class="panel map" aria-labelledby="map-title">
        <h2 id="map-title">The Union</h2>
        <UnionMap feeds={status.feeds} />
      </section>
      <Road status={status} now={now} />
      <Feeds status={status} now={now} />
      <Log status={status} now={now} />
    </div>
  );
}

const LIGHTS: Record<Status["promises"][number]["light"], { tone: Tone; says: string }> = {
  kept: { tone: "good", says: "kept" },
  doubted: { tone: "doubt", says: "in doubt" },
  broken: { tone: "bad", says: "in danger" },
  unknown: { tone: "doubt", says: "not known" },
};

function Promises({ status: { promises } }: { status: Status }) {
  return (
    <section class="promises" aria-label="The four promises">
      {promises.map(({ promise, title, light, evidence }) => (
        <article key={promise} class={`panel light ${LIGHTS[light].tone}`} data-promise={promise} data-light={light}>
          <h2>
            {promise}. {title}
          </h2>
          <p>
            <Mark tone={LIGHTS[light].tone}>{LIGHTS[light].says}</Mark>
          </p>
          <ul>
            {evidence.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </article>
      ))}
    </section>
  );
}

function Embargo({ status: { gate }, now }: { status: Status; now: number }) {
  const { lifted, liftedAt, lastClose, reasons } = gate;
  return (
    <section class="panel embargo" aria-labelledby="embargo-title">
      <h2 id="embargo-title">The embargo</h2>
      {lifted && liftedAt !== null ? (
        <p class="clock" data-embargo="lifted">
          Lifted <Clock iso={liftedAt} />
        </p>
      ) : (
        <p class="clock" data-embargo="in-force">
          In force
          {lastClose !== null && Date.parse(lastClose) > now && (
            <span class="countdown">
              {" "}
              the last polls close in {span(Date.parse(lastClose) - now)}, at <Clock iso={lastClose} />
            </span>
          )}
        </p>
      )}
      {!lifted && reasons.length === 0 && <p>Nothing that is seen here stands against the lift.</p>}
      {!lifted && reasons.length > 0 && (
        <>
          <p>
            {reasons.length} open {reasons.length === 1 ? "reason" : "reasons"}:
          </p>
          <ul class="reasons" tabIndex={0} aria-label="Open reasons">
            {reasons.map(({ says, code }) => (
              <li key={says}>
                {says} <span class="quiet">{code}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Road({ status, now }: { status: Status; now: number }) {
  const { services, inbox, dependencies, log, disks } = status;
  const perMinute = status.feeds.reduce((sum, feed) => sum + feed.perMinute, 0);
  const { postgres, nats } = dependencies;
  return (
    <section class="panel road" aria-labelledby="road-title">
      <h2 id="road-title">The road</h2>
      <div class="scroll" tabIndex={0} role="group" aria-label="The road as a table">
        <table>
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col">State</th>
              <th scope="col">At</th>
              <th scope="col">Behind since</th>
              <th scope="col">Parts</th>
            </tr>
          </thead>
          <tbody>
            {services.map(({ name, up, ready, since, checks, position, head, behindSince }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <Mark tone={ready ? "good" : up ? "doubt" : "bad"}>{ready ? "ready" : up ? "not ready" : "down"}</Mark>{" "}
                  <Ago iso={since} now={now} />
                </td>
                <td class="n">{position !== null ? `${number(position)} of ${number(head ?? 0)}` : head !== null ? number(head) : ""}</td>
                <td>{behindSince === null ? "" : <Ago iso={behindSince} now={now} />}</td>
                <td class="parts">
                  {Object.entries(checks)
                    .filter(([, ok]) => !ok)
                    .map(([part]) => part)
                    .join(", ") || "all well"}
                </td>
              </tr>
            ))}
            <tr>
              <th scope="row">Postgres</th>
              <td>
                <Mark tone={postgres.well && postgres.ownLog ? "good" : "bad"}>
                  {postgres.well ? (postgres.ownLog ? "answers" : "another log") : "away"}
                </Mark>{" "}
                <Ago iso={postgres.since} now={now} />
              </td>
              <td class="n">{log === null ? "" : number(log.size)}</td>
              <td />
              <td />
            </tr>
            <tr>
              <th scope="row">NATS</th>
              <td>
                <Mark tone={nats.well ? "good" : "bad"}>{nats.well ? "answers" : "away"}</Mark>{" "}
                <Ago iso={nats.since} now={now} />
              </td>
              <td class="n">{number(inbox.messages)} wait</td>
              <td>{inbox.oldest === null ? "" : <Ago iso={inbox.oldest} now={now} />}</td>
              <td class="parts">
                {nats.streams
                  .map(({ name, bytes: size, mostBytes }) => `${name} ${percent(mostBytes > 0 ? size / mostBytes : 0)}`)
                  .join(", ")}
              </td>
            </tr>
          </tbody>
        </table>
      </div>
      <p>
        {number(perMinute)} statements in the last minute.
        {disks.map(({ path, usedShare, freeBytes }) => (
          <span key={path}>
            {" "}
            Disk {percent(usedShare)} full, {bytes(freeBytes)} free.
          </span>
        ))}
      </p>
    </section>
  );
}

function Feeds({ status, now }: { status: Status; now: number }) {
  const openOf = (state: string) =>
    status.incidents.filter(({ about, state: life }) => life !== "closed" && isOf(about, state)).length;
  return (
    <section class="panel feeds" aria-labelledby="feeds-title">
      <h2 id="feeds-title">The states</h2>
      <div class="scroll" tabIndex={0} role="group" aria-label="The states as a table">
        <table>
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Feed</th>
              <th scope="col">Polls</th>
              <th scope="col">Last heard</th>
              <th scope="col">A minute</th>
              <th scope="col">Last three minutes</th>
              <th scope="col">Tallies</th>
              <th scope="col">Expected by now</th>
              <th scope="col">Incidents</th>
            </tr>
          </thead>
          <tbody>
            {status.feeds.map((feed) => (
              <tr key={feed.state} data-state={feed.state}>
                <th scope="row">
                  <Link to={`/states/${feed.state}`}>
                    {feed.state} {feed.name}
                  </Link>
                </th>
                <td>
                  <Mark tone={feedTone(feed)}>{feed.feed}</Mark>
                </td>
                <td>{feed.polls}</td>
                <td>
                  <Ago iso={feed.lastHeard} now={now} />
                </td>
                <td class="n">{number(feed.perMinute)}</td>
                <td>
                  <Sparkline values={feed.recent} />
                </td>
                <td class="n">
                  {number(feed.tallies)} <span class="quiet">for {number(feed.units)} units</span>
                </td>
                <td class="n">{feed.expected === null ? <span class="quiet">–</span> : percent(feed.expected.now)}</td>
                <td class="n">{openOf(feed.state) || ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Of the state itself, or of one of its keys, as `AT` and `key AT-1` are of Austria. */
export const isOf = (about: string | null, state: string) => new RegExp(`(^|\\s)${state}(-|\\s|$)`).test(about ?? "");

const CANARY: Record<Status["canary"]["state"], { tone: Tone; says: string }> = {
  off: { tone: "quiet", says: "there is none" },
  "nothing-yet": { tone: "quiet", says: "waits for a release" },
  running: { tone: "quiet", says: "recounts" },
  holds: { tone: "good", says: "holds" },
  differs: { tone: "bad", says: "found a difference" },
  failed: { tone: "doubt", says: "could not recount" },
};

const DELIVERY: Record<Status["delivery"]["state"], { tone: Tone; says: string }> = {
  "nothing-yet": { tone: "quiet", says: "nothing to deliver yet" },
  "not-watched": { tone: "quiet", says: "nothing is read back" },
  equal: { tone: "good", says: "what is shown is what was released" },
  behind: { tone: "doubt", says: "an old release is shown" },
  differs: { tone: "bad", says: "what is shown is NOT what was released" },
  "no-answer": { tone: "bad", says: "no release is shown" },
};

function Log({ status, now }: { status: Status; now: number }) {
  const { log, witnesses, canary, delivery, releases } = status;
  return (
    <section class="panel log" aria-labelledby="log-title">
      <h2 id="log-title">The log and its releases</h2>
      <dl>
        <dt>Head</dt>
        <dd>
          {log === null ? "not begun" : `${number(log.size)} ${log.size === 1 ? "entry" : "entries"}, signed `}
          {log !== null && <Ago iso={log.signedAt} now={now} />}
        </dd>
        {witnesses.each.map(({ name, size, at }) => (
          <>
            <dt key={name}>{name}</dt>
            <dd>
              {size === null ? <Mark tone="doubt">nothing cosigned yet</Mark> : `cosigned ${number(size)} `}
              {at !== null && <Ago iso={at} now={now} />}
            </dd>
          </>
        ))}
        <dt>Releases</dt>
        <dd>{releases.published === null ? "none yet" : `number ${releases.published.number} is served`}</dd>
        <dt>Delivery</dt>
        <dd>
          <Mark tone={DELIVERY[delivery.state].tone}>{DELIVERY[delivery.state].says}</Mark>
        </dd>
        {delivery.fetched.map(({ key, number: fetched, at, equal }) => (
          <>
            <dt key={key}>{key}</dt>
            <dd>
              <Mark tone={equal ? "good" : "bad"}>has number {fetched}</Mark> <Ago iso={at} now={now} />
            </dd>
          </>
        ))}
        <dt>Canary</dt>
        <dd>
          <Mark tone={CANARY[canary.state].tone}>{CANARY[canary.state].says}</Mark>{" "}
          {canary.at !== null && (
            <>
              up to number {canary.release}, <Ago iso={canary.at} now={now} />
            </>
          )}
        </dd>
      </dl>
    </section>
  );
}
