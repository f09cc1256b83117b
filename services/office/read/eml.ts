import sax from "sax";
import { Ends } from "./ends.ts";
import type { Place, Sink, SourceCode, Understood } from "./source.ts";
import { shortened } from "./source.ts";
import { addUp, compareTotal, type Figure, type Gathered, gather, giveRow, readFigure } from "./tally-tree.ts";
import type { Text } from "./text.ts";
import { listOf, type TreeMapping, unitOf } from "./tree-mapping.ts";

/**
 * EML 510 counts: the Dutch Kiesraad's profile, and OASIS EML v5. One row for each reporting unit, or for a contest that has none. The XML is read as it
 * comes, without its document type: no entity is ever declared, fetched or expanded, and depth, names and texts are bounded.
 */

const KIESRAAD = "http://www.kiesraad.nl/extensions";
const MAX_DEPTH = 32;
const MAX_TEXT = 64 * 1024;
/** Between two marks; a tag with all its attributes is shorter. */
const MAX_TAG = 64 * 1024;
const MAX_LISTS = 1_000;

export async function readEml(
  text: Text,
  mapping: TreeMapping,
  sink: Sink,
  before: (understood: Understood) => void = () => undefined,
  pause?: () => Promise<void>,
): Promise<void> {
  const count = createCount(mapping, sink, (profile) =>
    before({ format: "eml", encoding: text.encoding, notes: [`EML 510, ${profile}`] }),
  );
  let isBroken = false;
  const decoder = new TextDecoder("utf-8");
  try {
    const chunks = text.chunks((problem) => {
      isBroken = true;
      sink.problem(problem);
    });
    for await (const chunk of chunks) {
      count.write(decoder.decode(chunk, { stream: true }));
      await pause?.();
    }
    if (!isBroken) count.end();
  } catch (error) {
    if (!(error instanceof Ends)) throw error;
    if (!isBroken) sink.problem({ code: error.code, place: error.at, detail: error.message });
  }
}

interface Selection {
  list: { id: string; name: string; category: string } | undefined;
  candidate: string | undefined;
  votes: Figure | undefined;
}

function createCount(mapping: TreeMapping, sink: Sink, begin: (profile: string) => void) {
  const parser = sax.parser(true, { xmlns: true, position: true });
  const path: string[] = [];
  let written = 0;
  let isKiesraad = false;
  let hasBegun = false;
  let text = "";
  let reason = "";
  let authority = "";
  let contest = { id: "", line: 1 };
  let total: Gathered | undefined;
  let open: Gathered | undefined;
  let sums = new Map<string, number>();
  let units = 0;
  let rows = 0;
  let selection: Selection | undefined;
  /** The list that candidates without one of their own belong to, and the lists whose own total stands there. */
  let last: string | undefined;
  let stated = new Set<string>();

  const here = (name: string): Place => ({ line: parser.line + 1, column: parser.column, name });
  const ends = (code: SourceCode, detail: string) =>
    new Ends(code, { line: parser.line + 1, column: parser.column }, detail);
  const wrong = (code: SourceCode, place: Place) => {
    if (open !== undefined) open.isGood = false;
    sink.problem({ code, place });
  };
  const figure = (name: string): Figure | undefined => {
    const place = { ...here(name), value: shortened(text.trim()) };
    const value = readFigure(text);
    if (typeof value === "number") return { value, place };
    wrong(value, place);
    return undefined;
  };

  parser.ondoctype = () => {
    throw ends("file.hostile", "It declares a document type, by which other files and endless texts are drawn in.");
  };
  parser.onerror = (error) => {
    const [sentence = ""] = error.message.split("\n");
    // What is not declared is not known; and what never ends is a file that was cut.
    if (/max buffer length/i.test(sentence))
      throw ends("row.too-long", "A tag, a comment or an attribute is longer than any count needs.");
    if (/entity/i.test(sentence)) throw ends("file.hostile", "It uses an entity that XML does not have.");
    if (/unclosed root|unexpected end/i.test(sentence)) throw ends("file.cut", "An element is not closed.");
    throw ends("file.format", `It is not well formed: ${sentence}`);
  };
  parser.onopentag = (tag) => {
    const { local, uri } = tag as sax.QualifiedTag;
    if (path.length >= MAX_DEPTH) throw ends("file.hostile", `It is nested deeper than ${MAX_DEPTH} elements.`);
    if (path.length === 0 && local !== "EML") throw ends("file.format", `Its root is ${shortened(local)}, not EML.`);
    const attributes = tag.attributes as Record<string, sax.QualifiedAttribute>;
    if (uri === KIESRAAD || Object.values(attributes).some(({ value }) => value === KIESRAAD)) isKiesraad = true;
    path.push(local);
    text = "";
    enter(local, (name) => attributes[name]?.value ?? "");
  };
  parser.ontext = (more) => add(more);
  parser.oncdata = (more) => add(more);
  const add = (more: string) => {
    text += more;
    if (text.length > MAX_TEXT) throw ends("row.too-long", "An element's text is longer than any count needs.");
  };
  parser.onclosetag = () => {
    leave(path.pop() ?? "");
    text = "";
  };

  const enter = (name: string, attribute: (name: string) => string) => {
    switch (name) {
      case "AuthorityIdentifier":
        if (path.at(-2) === "ManagingAuthority") authority = attribute("Id");
        return;
      case "Count":
        hasBegun = true;
        begin(isKiesraad ? "Kiesraad's profile" : "OASIS v5");
        return;
      case "Contest":
        contest = { id: "", line: parser.line + 1 };
        [total, sums, units] = [undefined, new Map(), 0];
        return;
      case "ContestIdentifier":
        contest.id = attribute("Id");
        return;
      case "TotalVotes":
      case "ReportingUnitVotes":
        open = gather("", here(name));
        [last, stated] = [undefined, new Set()];
        return;
      case "ReportingUnitIdentifier":
        if (open !== undefined) open.unit = unitOf(mapping, { id: attribute("Id"), contest: contest.id, authority });
        return;
      case "Selection":
        selection = { list: undefined, candidate: undefined, votes: undefined };
        if (attribute("Category") !== "") selection.list = { id: "", name: "", category: attribute("Category") };
        return;
      case "AffiliationIdentifier":
        if (selection !== undefined)
          selection.list = { id: attribute("Id"), name: "", category: selection.list?.category ?? "" };
        return;
      case "CandidateIdentifier":
        if (selection !== undefined) selection.candidate = attribute("Id");
        return;
      case "RejectedVotes":
      case "UncountedVotes":
        reason = attribute("ReasonCode");
        return;
    }
  };

  const leave = (name: string) => {
    switch (name) {
      case "RegisteredName":
        if (selection?.list !== undefined) selection.list.name = text.trim();
        return;
      case "ValidVotes":
        if (selection !== undefined) selection.votes = figure(name);
        return;
      case "Selection":
        if (open !== undefined && selection !== undefined) select(open, selection);
        selection = undefined;
        return;
      case "Cast":
      case "TotalCounted":
      case "RejectedVotes":
      case "UncountedVotes":
        if (open !== undefined) head(open, name);
        return;
      case "TotalVotes":
        total = open;
        open = undefined;
        return;
      case "ReportingUnitVotes":
        if (open !== undefined) close(open);
        open = undefined;
        return;
      case "Contest":
        endContest();
        return;
    }
  };

  const head = (into: Gathered, name: string) => {
    const given = figure(name);
    if (given === undefined) return;
    if (name === "Cast") into.heads.set(isKiesraad ? "electors" : "ballots", given);
    else if (name === "TotalCounted") into.heads.set("valid", given);
    else if (name === "RejectedVotes") {
      const kind = /^(blanco|blank|blanc)/i.test(reason) ? "blank" : "invalid";
      const before = into.heads.get(kind)?.value ?? 0;
      into.heads.set(kind, { ...given, value: before + given.value });
    }
    // What the profile says of passes, proxies and of ballots that are too many or too few is about voters, not about the count.
  };

  const select = (into: Gathered, { list, candidate, votes }: Selection) => {
    const id = list === undefined ? undefined : listOf(mapping, list.category, list.id, list.name);
    if (votes === undefined) {
      if (id !== undefined && candidate === undefined) last = id;
      return;
    }
    if (candidate === undefined && id !== undefined) {
      last = id;
      if (into.votes.has(id)) wrong("list.twice", votes.place);
      stated.add(id);
      into.votes.set(id, votes);
    } else {
      const of = id ?? last ?? candidate ?? "";
      // The list's own total stands there: its candidates are in it.
      if (!stated.has(of)) into.votes.set(of, { ...votes, value: (into.votes.get(of)?.value ?? 0) + votes.value });
    }
    if (into.votes.size > MAX_LISTS) throw ends("file.hostile", `A unit has more than ${MAX_LISTS} lists.`);
  };

  const close = (unit: Gathered) => {
    units++;
    rows++;
    addUp(sums, unit);
    giveRow(unit, sink);
  };

  const endContest = () => {
    if (total === undefined) return;
    if (units > 0) compareTotal(total, sums, sink);
    else {
      total.unit = unitOf(mapping, { id: contest.id, contest: contest.id, authority });
      rows++;
      giveRow(total, sink);
    }
  };

  return {
    write(chunk: string): void {
      // A tag, a comment or a name that never ends would be kept whole: sax looks at its bounds after each piece.
      for (let at = 0; at < chunk.length; at += MAX_TAG) {
        const before = parser.startTagPosition;
        parser.write(chunk.slice(at, at + MAX_TAG));
        written += Math.min(MAX_TAG, chunk.length - at);
        if (parser.startTagPosition === before && written > 16 * MAX_TAG && path.length === 0)
          throw ends("row.too-long", "There is no element for a long while.");
      }
    },
    end(): void {
      if (path.length > 0) throw ends("file.cut", "An element is not closed.");
      parser.close();
      if (!hasBegun) sink.problem({ code: "file.format", place: { line: 1 }, detail: "It holds no count (EML 510)." });
      else if (rows === 0) sink.problem({ code: "file.empty", place: { line: 1 } });
    },
  };
}
