import { VERDICT_CODES, type VerdictCode } from "../ledger/codes.ts";

/**
 * The closed catalogue of what can be refused at a door (RFC 9457). `status` is the HTTP status; `title` says what is
 * wrong, `todo` what to do next. What gets in and is then found wrong has a verdict code instead (`shared/ledger/codes.ts`).
 */
export const PROBLEMS = {
  "statement.too-large": {
    status: 413,
    title: "The statement is larger than 1 MiB.",
    todo: "Split it into several statements.",
  },
  "statement.malformed": {
    status: 400,
    title: "The payload is not a statement.",
    todo: "Compare it with shared/statement/types.ts; `detail` names the first difference.",
  },
  "statement.empty": { status: 400, title: "The request has no body.", todo: "Send one signed statement as the body." },
  "statement.media-type": {
    status: 415,
    title: "The body is neither application/jose nor application/jose+json.",
    todo: "Send a compact JWS as application/jose, a general one as application/jose+json.",
  },
  "jws.malformed": {
    status: 400,
    title: "The body is not a JWS in compact or general form.",
    todo: "Sign the payload with a JOSE library and send what it returns, unchanged and without a line end.",
  },
  "jws.algorithm": {
    status: 400,
    title: "The signature algorithm is not EdDSA.",
    todo: "Sign with Ed25519 and `alg` EdDSA.",
  },
  "jws.critical-header": {
    status: 400,
    title: "The header demands an extension that is not understood.",
    todo: "Leave `crit` and `b64` out of the header.",
  },
  "jws.unsigned-header": {
    status: 400,
    title: "The envelope carries a header that was not signed.",
    todo: "Put every header parameter into `protected`.",
  },
  "jws.type": { status: 400, title: "The header's `typ` is not scrutin+jws.", todo: "Set `typ` to scrutin+jws." },
  "jws.key-id": {
    status: 400,
    title: "The header names no key.",
    todo: "Set `kid` to the id of your key in the definition.",
  },
  "jws.signer-twice": {
    status: 400,
    title: "The same key signed twice.",
    todo: "Let a second official sign with a key of their own.",
  },
  "key.unknown": {
    status: 401,
    title: "Neither the definition nor the log has such a key.",
    todo: "Check `kid` against the definition; a new key must be rotated in or enrolled first, and sign for itself.",
  },
  "signature.invalid": {
    status: 401,
    title: "A signature does not verify under its key.",
    todo: "Sign again with the key that `kid` names, and send the bytes unchanged.",
  },
  "key.other-state": {
    status: 403,
    title: "This key does not speak for that state.",
    todo: "An office signs for its own state only; set `state` to yours.",
  },
  "key.wrong-role": {
    status: 403,
    title: "This key may not sign this type of statement.",
    todo: "Use a key whose role covers it.",
  },
  "key.ended": {
    status: 403,
    title: "This key has been replaced, revoked or suspended.",
    todo: "Sign with the key that took its place, or ask two trustees to enrol a new one; the other trustees decide for one who is suspended.",
  },
  "decision.origin-at-start": {
    status: 403,
    title: "A decision that opens a new origin of the log does not come by the door.",
    todo: "Give it to the ledger at its start, as SCRUTIN_ORIGIN_DECISION, together with the new key.",
  },
  "signatures.missing": {
    status: 403,
    title: "Fewer people signed than this state or this statement needs.",
    todo: "Let a second person cosign the same payload, and send it with both signatures.",
  },
  "json.not-utf8": { status: 400, title: "The payload is not valid UTF-8.", todo: "Encode the payload as UTF-8." },
  "json.syntax": { status: 400, title: "The payload is not valid JSON.", todo: "Write it with a JSON library." },
  "json.duplicate-key": {
    status: 400,
    title: "The payload has the same key twice in one object.",
    todo: "Keep each key once.",
  },
  "json.forbidden-key": { status: 400, title: "The payload has a key that is not allowed.", todo: "Remove the key." },
  "json.not-an-integer": {
    status: 400,
    title: "The payload has a number that is not an integer.",
    todo: "Write whole numbers without a point or an exponent.",
  },
  "json.integer-too-large": {
    status: 400,
    title: "The payload has a number beyond 2^53.",
    todo: "Check the figure; no count is that large.",
  },
  "json.lone-surrogate": {
    status: 400,
    title: "The payload has half of a surrogate pair.",
    todo: "Write text as valid Unicode.",
  },
  "json.too-deep": {
    status: 400,
    title: "The payload is nested too deeply.",
    todo: "Compare it with the statement's schema.",
  },
  "request.too-slow": {
    status: 408,
    title: "The request took too long to arrive.",
    todo: "Send it again on a better connection; the same bytes are never counted twice.",
  },
  "request.not-found": {
    status: 404,
    title: "There is nothing at this address.",
    todo: "Check host and path: offices POST to /v1/statements on ingest, results are at /v1/releases on release.",
  },
  "request.method": {
    status: 405,
    title: "This address does not take that method.",
    todo: "Use one of the methods named in Allow.",
  },
  "request.malformed": {
    status: 400,
    title: "The request could not be understood.",
    todo: "Check path, query and headers.",
  },
  "request.range": {
    status: 416,
    title: "There are no such bytes.",
    todo: "Content-Range says how many there are; ask without Range for all of them.",
  },
  "rate.exceeded": {
    status: 429,
    title: "Too many requests.",
    todo: "Wait as long as Retry-After says; nothing of this request was kept.",
  },
  "session.missing": {
    status: 401,
    title: "Nobody is signed in, or the session is over.",
    todo: "Sign in at /sign-in.",
  },
  "session.role": {
    status: 403,
    title: "Whoever is signed in may not do this.",
    todo: "Ask somebody who may, or the provider's administrator for the role.",
  },
  "session.foreign": {
    status: 403,
    title: "The request does not come from our own page.",
    todo: "Do it on the page itself; reload it first.",
  },
  "session.link": {
    status: 403,
    title: "The link was used already, or is none of ours.",
    todo: "Start the stack again for a new one, or sign in with the provider.",
  },
  "session.provider": {
    status: 502,
    title: "The provider that signs people in does not answer as it should.",
    todo: "Try again in a moment; the log of watch says what it answered.",
  },
  "incident.unknown": {
    status: 404,
    title: "There is no such incident.",
    todo: "Take its id from /v1/incidents.",
  },
  "incident.state": {
    status: 409,
    title: "The incident is past that: somebody else was faster, or it is closed.",
    todo: "Reload it, and see who did what.",
  },
  "incident.unexplained": {
    status: 409,
    title: "Nobody has explained the incident yet.",
    todo: "Explain it first; then it can be closed.",
  },
  "incident.lasts": {
    status: 409,
    title: "What the incident is about still goes on.",
    todo: "Close it when it has ended.",
  },
  "service.busy": {
    status: 503,
    title: "The service is at its limit.",
    todo: "Wait as long as Retry-After says, then send the same bytes again.",
  },
  "service.unavailable": {
    status: 503,
    title: "A part that this needs is away.",
    todo: "Wait as long as Retry-After says, then send the same bytes again.",
  },
  "service.error": {
    status: 500,
    title: "Something failed on our side.",
    todo: "Send the same request again; if it fails again, tell the operators the time of the failure.",
  },
  "statement.unknown": {
    status: 404,
    title: "No such statement is in the log.",
    todo: "Send the statement; if it was answered 202, ask again in a moment.",
  },
  "statement.not-released": {
    status: 403,
    title: "This statement is not part of a release yet.",
    todo: "Ask again after the next release; its entry and proof are in the log already.",
  },
  "statement.withheld": {
    status: 403,
    title: "The results of this statement's state are withheld.",
    todo: "Wait until the hold on the state is lifted; the signed decision that says why is in the log.",
  },
  "log.unknown": {
    status: 404,
    title: "The log has no such checkpoint or tile.",
    todo: "Take the size from /log/checkpoint and ask for the tiles of that size.",
  },
  "evidence.unknown": {
    status: 404,
    title: "There is no such evidence.",
    todo: "See /v1/evidence for what there is.",
  },
  "release.unknown": {
    status: 404,
    title: "There is no release of that number.",
    todo: "See /v1/releases for those there are.",
  },
  "pull.unauthorized": {
    status: 401,
    title: "This address is for the Parliament, and the request carries no token of theirs that holds now.",
    todo: "Send `Authorization: Bearer` with a token that a key of the definition's `publication.parliament` has signed within the hour; check your clock.",
  },
  "sealed.unknown": {
    status: 404,
    title: "There is no such sealed release.",
    todo: "Ask for /v1/sealed/latest; the first is there a moment after the log begins.",
  },
  "embargo.in-force": {
    status: 403,
    title: "Polls are still open in the Union; no result may be given.",
    todo: "Wait as long as Retry-After says, then ask again.",
  },
} as const satisfies Record<string, { status: number; title: string; todo: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A problem document as it is sent. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  code: ProblemCode;
  detail: string;
}

/** The RFC 9457 document of a code; `detail` adds what is particular to this case. */
export function problemDocument(code: ProblemCode, detail?: string): ProblemDocument {
  const { status, title, todo } = PROBLEMS[code];
  return { type: `/v1/codes/${code}`, title, status, code, detail: detail === undefined ? todo : `${detail} ${todo}` };
}

/** Every code that this system gives, with what it means and what to do: served at /v1/codes. */
export function codeCatalogue(): { code: ProblemCode | VerdictCode; status?: number; means: string; todo: string }[] {
  return [
    ...Object.entries(PROBLEMS).map(([code, p]) => ({
      code: code as ProblemCode,
      status: p.status,
      means: p.title,
      todo: p.todo,
    })),
    ...Object.entries(VERDICT_CODES).map(([code, v]) => ({ code: code as VerdictCode, means: v.means, todo: v.todo })),
  ];
}
