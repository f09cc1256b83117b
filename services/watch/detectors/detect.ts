import type { BusView } from "../bus.ts";
import type { CanaryView } from "../canary.ts";
import type { DeliveryView } from "../delivery.ts";
import type { DiskView } from "../disks.ts";
import type { ServiceView } from "../probes.ts";
import type { RecordView } from "../record.ts";
import type { Finding } from "./finding.ts";

/** Everything that one look saw. */
export interface Observation {
  /** Ms since the epoch. */
  now: number;
  services: readonly ServiceView[];
  record: RecordView;
  bus: BusView;
  delivery: DeliveryView;
  disks: readonly DiskView[];
  canary: CanaryView;
}

/** A restart takes a second or two, and is no incident. */
export const AWAY_MS = 3_000;
/** A service that waits for another one says so for as long as that takes to come back. */
export const UNREADY_MS = 5_000;
export const LAG_MS = 10_000;
export const WITNESSES_MS = 30_000;
export const STREAM_SHARE = 0.8;
export const DISK_SHARE = 0.9;
/** A feed is silent when its curve says that this share of its units should have come since it was last heard. */
export const SILENT_SHARE = 0.1;

type Detector = (seen: Observation) => Finding[];

const longer = (since: string | null, now: number, ms: number) => since !== null && now - Date.parse(since) >= ms;
const finding = (code: Finding["code"], about: string | null, evidence: Finding["evidence"] = {}): Finding => ({
  code,
  about,
  evidence,
});

const services: Detector = ({ services, now }) =>
  services.flatMap(({ name, up, ready, since, checks, answersAs }) => {
    if (up && answersAs !== null && answersAs !== name) return [finding("service.unknown", name, { answersAs })];
    if (!up) return longer(since, now, AWAY_MS) ? [finding("service.missing", name, { since })] : [];
    if (ready || !longer(since, now, UNREADY_MS)) return [];
    const broken = Object.entries(checks).filter(([, well]) => !well);
    return [finding("service.unready", name, { since, parts: broken.map(([part]) => part).join(", ") })];
  });

const servers: Detector = ({ record: { postgres, ownLog }, bus: { nats }, now }) => [
  ...(!postgres.well && longer(postgres.since, now, AWAY_MS)
    ? [finding("postgres.away", null, { since: postgres.since })]
    : []),
  ...(!nats.well && longer(nats.since, now, AWAY_MS) ? [finding("nats.away", null, { since: nats.since })] : []),
  ...(ownLog ? [] : [finding("log.other-definition", null)]),
];

const clocks: Detector = ({ record: { gate } }) =>
  gate.reasons.flatMap((reason) =>
    reason.code === "clocks.disagree" ? [finding("clocks.disagree", null, { spreadMs: reason.spreadMs })] : [],
  );

const feeds: Detector = ({ record: { feeds, postgres }, now }) => {
  // Before the first look nothing is known of anybody's feed.
  if (postgres.since === null) return [];
  return feeds.flatMap((feed) => {
    const { state, closesAt, lastHeard, tallies, units, earlyTally, expected } = feed;
    const found: Finding[] = [];
    if (feed.feed === "overdue") found.push(finding("feed.overdue", state, { closesAt }));
    if (earlyTally !== null) found.push(finding("tally.early", state, { received: earlyTally, closesAt }));
    if (expected === null || feed.feed === "overdue") return found;
    const missed = expected.momentAgo - expected.whenLastHeard;
    const behind = expected.momentAgo - Math.min(1, tallies / Math.max(1, units));
    if (missed >= SILENT_SHARE && behind >= SILENT_SHARE)
      found.push(
        finding("feed.silent", state, {
          lastHeard,
          silentForMs: lastHeard === null ? null : now - Date.parse(lastHeard),
          expectedShare: round(expected.now),
          receivedShare: round(tallies / Math.max(1, units)),
        }),
      );
    return found;
  });
};

const round = (share: number) => Math.round(share * 1_000) / 1_000;

const lags: Detector = ({ services, bus: { nats, inbox }, now }) => [
  ...services.flatMap(({ name, behindSince, position, head }) =>
    longer(behindSince, now, LAG_MS) ? [finding("count.lags", name, { position, head, since: behindSince })] : [],
  ),
  ...(nats.well && longer(inbox.oldest, now, LAG_MS)
    ? [finding("inbox.waits", null, { oldest: inbox.oldest, messages: inbox.messages })]
    : []),
];

const room: Detector = ({ bus: { nats }, disks }) => [
  // A stream that drops its oldest is always full; one that refuses is what must not be.
  ...nats.streams.flatMap(({ name, bytes, mostBytes, refuses }) =>
    refuses && mostBytes > 0 && bytes >= STREAM_SHARE * mostBytes
      ? [finding("stream.filling", name, { bytes, mostBytes })]
      : [],
  ),
  ...disks.flatMap(({ path, usedShare, freeBytes }) =>
    usedShare >= DISK_SHARE ? [finding("disk.filling", path, { usedShare: round(usedShare), freeBytes })] : [],
  ),
];

const witnesses: Detector = ({ record: { witnesses }, now }) =>
  longer(witnesses.shortSince, now, WITNESSES_MS)
    ? [finding("witnesses.lag", null, { size: witnesses.size, quorum: witnesses.quorum, since: witnesses.shortSince })]
    : [];

const RELEASE = { differs: "release.differs", behind: "release.behind", "no-answer": "release.no-answer" } as const;

const releases: Detector = ({ delivery, canary, now }) => {
  const { state, since, shown, announced, fetched } = delivery;
  const found: Finding[] = [];
  // A restart of the endpoint is no incident; another release than the one that was announced is one at once.
  if (state === "differs" || ((state === "behind" || state === "no-answer") && longer(since, now, AWAY_MS)))
    found.push(finding(RELEASE[state], null, { shown: shown?.number ?? null, announced: announced?.number ?? null }));
  for (const { key, number, equal } of fetched) if (!equal) found.push(finding("delivery.differs", key, { number }));
  if (canary.state === "differs" || canary.state === "failed")
    found.push(finding(`canary.${canary.state}`, null, { release: canary.release, says: canary.says }));
  return found;
};

const ALL: readonly Detector[] = [services, servers, clocks, feeds, lags, room, witnesses, releases];

/** Whatever is wrong at this look and lasts. What happens once is raised by the service that sees it. */
export function detect(seen: Observation): Finding[] {
  return ALL.flatMap((detector) => detector(seen));
}
