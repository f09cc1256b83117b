/**
 * Every incident that this system raises: how grave it is, what it means, what to do first. Each has a page in infra/monitoring/runbooks. The
 * list is closed: a code that is not here is shown as it came, as grave as `incident.malformed`.
 */

/** `critical`: a promise is in danger. `major`: the night suffers. `minor`: look when you can. `notice`: for the record. */
export type Severity = "critical" | "major" | "minor" | "notice";

export interface IncidentKind {
  /** Which of the four promises it touches; null: the road that they lie on. */
  promise: 1 | 2 | 3 | 4 | null;
  severity: Severity;
  means: string;
  todo: string;
}

const kind =
  (promise: IncidentKind["promise"]) =>
  (severity: Severity, means: string, todo: string): IncidentKind => ({ promise, severity, means, todo });
const unsigned = kind(1);
const early = kind(2);
const lost = kind(3);
const recount = kind(4);
const road = kind(null);

export const INCIDENTS = {
  // Promise 1: nothing unsigned gets in.
  "signature.burst": unsigned(
    "major",
    "Many statements under one key, or from one address, had signatures that do not hold.",
    "Call the office on the known number. Nothing of it got in; block the address if it is nobody's.",
  ),
  "statement.replayed": unsigned(
    "minor",
    "The same statements are sent again and again under one key, or from one address.",
    "Ask the office whether its client hangs; if it does not, somebody replays its statements, which changes nothing.",
  ),
  "key.unknown": unsigned(
    "minor",
    "An address signs with keys that neither the definition nor the log names.",
    "An office with a new key needs it enrolled first; from any other address it is a probe.",
  ),
  "key.ended": unsigned(
    "major",
    "A key that was replaced or revoked goes on signing.",
    "Call the office: either its client has the old key, or whoever stole it uses it.",
  ),
  "key.equivocation": unsigned(
    "critical",
    "A key has signed two different statements under one sequence number.",
    "Call the office. If it did not sign both, its key is stolen: revoke it.",
  ),
  "bus.forged": unsigned(
    "critical",
    "Something on the bus to the ledger did not come through the door.",
    "A service's credentials are in other hands. Rotate them, and keep the logs of NATS.",
  ),
  // Promise 2: nothing gets out early.
  "embargo.probed": early(
    "major",
    "An address asks for results again and again, in many ways, while the embargo is in force.",
    "Nothing was given. Note the address, and look whether others follow.",
  ),
  "tally.early": early(
    "major",
    "A state has sent tallies although its polls are still open by the definition.",
    "Call the office: its polls have closed and an extension is wrong, or somebody counts early.",
  ),
  "clocks.disagree": early(
    "major",
    "The clock of Postgres and that of this machine lie more than a second apart.",
    "Find the one that is wrong, and set it right: until then the gate stays shut.",
  ),
  "clock.went-back": early(
    "critical",
    "A clock reads less than it did before: it jumped.",
    "Correct it, then restart tabulate, recount, ledger and watch, and every standby of them.",
  ),
  "lift.quarantined": early(
    "critical",
    "The ledger refused the lift that both counts had signed.",
    "Read the ledger's log: it names the reason. Nothing was given.",
  ),
  // Promise 3: nothing acknowledged is lost or altered.
  "sequence.gap": lost(
    "minor",
    "A sequence number of a key has been missing for a minute.",
    "Ask the office: it sends the statement late, or a void.",
  ),
  "log.broken": lost(
    "critical",
    "A service finds that the log in Postgres contradicts itself.",
    "Keep the database as it is. Compare its checkpoints with those of the witnesses.",
  ),
  "log.behind-witness": lost(
    "critical",
    "A witness holds a longer log than the database.",
    "Statements that were acknowledged are missing here. Restore from the standby; do not start a new log without two trustees.",
  ),
  "log.forked": lost(
    "critical",
    "A witness holds another log than the database, signed by the same key.",
    "Stop the ledger, keep both, call the trustees.",
  ),
  "log.other-definition": lost(
    "critical",
    "The log in Postgres is about another definition than the one that watch was given.",
    "Compare the hash of the definition with the authority's, and correct whichever is wrong.",
  ),
  "snapshot.broken": lost(
    "minor",
    "What a count had kept of its own work does not open.",
    "It counts anew by itself. If it comes again, somebody writes to its tables.",
  ),
  "witness.away": lost(
    "major",
    "A witness does not answer, or gives nothing that is of use.",
    "Call its operator. The log goes on; releases wait for the quorum of witnesses.",
  ),
  "witness.went-back": lost(
    "critical",
    "A witness has forgotten a head that it had cosigned.",
    "Call its operator: it was restored from an old state, and does not protect the log meanwhile.",
  ),
  "witness.unproven": lost(
    "major",
    "A witness says that it holds another log, and cannot show one with our signature.",
    "Call its operator, and compare checkpoints by voice.",
  ),
  "witnesses.lag": lost(
    "major",
    "The head of the log has had fewer cosignatures than the quorum for half a minute.",
    "Look which witness is away, and call its operator.",
  ),
  // Promise 4: anyone can recount.
  "recount.differs": recount(
    "critical",
    "The two counts have found different results of the same log.",
    "Nothing is published of it. Keep both databases and logs, and find the constituency that the incident names.",
  ),
  "canary.differs": recount(
    "critical",
    "A recount from the public log alone, as a stranger would do it, found something else than what was released.",
    "Run the audit yourself from another machine. If it says the same, hold the states concerned.",
  ),
  "canary.failed": recount(
    "major",
    "The recount from the public log could not be done.",
    "Look whether the publication endpoint answers from outside, then run the audit by hand.",
  ),
  "release.quarantined": recount(
    "critical",
    "The ledger refused the announcement of a release that both counts had signed.",
    "Read the ledger's log: it names the reason.",
  ),
  "release.broken": recount(
    "critical",
    "A release does not open to what both counts had signed.",
    "It is not served. Keep the database, and look who has written to it.",
  ),
  "release.differs": recount(
    "critical",
    "What the publication endpoint shows is not what was released.",
    "Take the endpoint from the network, serve the static bundle from the other one, and compare.",
  ),
  "release.behind": recount(
    "major",
    "The publication endpoint shows an old release, and a newer one is out.",
    "Look at its process and at what stands before it: a cache keeps too long, or a proxy is stuck.",
  ),
  "release.no-answer": recount(
    "major",
    "The publication endpoint gives no release although one is out.",
    "Restart it, or serve the static bundle meanwhile.",
  ),
  "delivery.differs": recount(
    "critical",
    "The Parliament has fetched something else than what was released.",
    "Call the Parliament at once, and compare the hash by voice.",
  ),
  "candidate.broken": recount(
    "major",
    "What was sealed as a release does not open, or is none.",
    "The count makes it anew. If it comes again, somebody writes to its tables.",
  ),
  "answer.broken": recount(
    "major",
    "What was sealed as the second count's answer does not open, or is none.",
    "It answers anew. If it comes again, somebody writes to its tables.",
  ),
  "cosignature.broken": recount(
    "major",
    "The second count's signature under a proposal does not hold.",
    "It signs anew. If it comes again, somebody writes to its tables.",
  ),
  "bundle.failed": recount(
    "minor",
    "The static bundle of a release could not be written.",
    "Look at the disk and the rights of its folder; the endpoint itself is not concerned.",
  ),
  "seats.differ": recount(
    "major",
    "The seats that a state declares are not those that follow from its votes.",
    "Both are published as they are. Call the office: a rule, a list or a figure is wrong on one side.",
  ),
  // The road, and what it runs on.
  "feed.silent": road(
    "major",
    "A state has fallen behind the curve that is expected of it, and sends nothing.",
    "Call the office: its line, its client, or its count stands still.",
  ),
  "feed.overdue": road(
    "major",
    "A state's polls should have closed a minute ago, and it has not said that they are.",
    "Call the office. The gate waits for its closure, or for two trustees.",
  ),
  "count.lags": road(
    "major",
    "A count has not caught up with the log for ten seconds.",
    "Look at its process and its log. Results wait; nothing is lost.",
  ),
  "inbox.waits": road(
    "major",
    "Statements have waited for the ledger for more than ten seconds.",
    "Look at the ledger and at Postgres. Offices get no receipts meanwhile; nothing is lost.",
  ),
  "stream.filling": road(
    "major",
    "A stream of NATS is filled to four fifths.",
    "Find out who does not read, or who floods it. When it is full, offices are told to come later.",
  ),
  "disk.filling": road(
    "major",
    "A disk is filled to nine tenths.",
    "Make room before it is full: without disk nothing is acknowledged.",
  ),
  "service.missing": road(
    "major",
    "A service does not answer.",
    "Start it again, or its standby; its log says why it ended.",
  ),
  "service.unready": road(
    "major",
    "A service answers, and says that it cannot do its work.",
    "Its checks name the part. It goes on by itself when that part is back.",
  ),
  "service.unknown": road(
    "critical",
    "At the address of a service something else answers.",
    "Look at the process that listens there, and who started it.",
  ),
  "postgres.away": road(
    "critical",
    "Postgres does not answer.",
    "Bring it back. Nothing is acknowledged meanwhile, and nothing is lost.",
  ),
  "nats.away": road(
    "critical",
    "NATS does not answer.",
    "Bring it back. Offices are told to come later; nothing is lost.",
  ),
  "incident.malformed": road(
    "minor",
    "A service raised something that is no incident of this list.",
    "Read its log at that instant.",
  ),
} as const satisfies Record<string, IncidentKind>;

export type IncidentCode = keyof typeof INCIDENTS;

const isKnown = (code: string): code is IncidentCode => Object.hasOwn(INCIDENTS, code);

/** Of a code as it came. */
export function kindOf(code: string): IncidentKind {
  return INCIDENTS[isKnown(code) ? code : "incident.malformed"];
}
