import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eml510 } from "../../../shared/formats/eml.ts";
import { nistReport } from "../../../shared/formats/nist.ts";
import { buildRelease } from "../../../shared/results/release.ts";
import { definition, finalStatements, header, heard } from "../../../test/final-figures.ts";
import { readEml } from "./eml.ts";
import { readNist } from "./nist.ts";
import type { Row, SourceProblem, Totals } from "./source.ts";
import type { Text } from "./text.ts";
import { TreeMapping } from "./tree-mapping.ts";

/** EML and NIST files, of others and of our own writers; cut, hostile, and in any pieces. */

const release = buildRelease(heard(finalStatements()), header);
const eml = eml510(release, definition) as string;
const nist = nistReport(release, definition);
const SAMPLE = fileURLToPath(
  new URL(
    "../../../../shared/data/schemas/eml-nl/sample-510b-ep2024-steenwijkerland-fake-counts.eml.xml",
    import.meta.url,
  ),
);

type Chunks = Iterable<Uint8Array>;

const textOf = (chunks: Chunks): Text => ({
  encoding: "utf-8",
  head: Buffer.alloc(0),
  async *chunks() {
    yield* chunks;
  },
});

async function read(reader: typeof readEml, chunks: Chunks, mapping: object = {}) {
  const rows: Omit<Row, "place">[] = [];
  const problems: SourceProblem[] = [];
  let total: Totals | undefined;
  await reader(textOf(chunks), TreeMapping.parse(mapping), {
    row: ({ place: _, ...row }) => void rows.push(row),
    problem: (problem) => void problems.push(problem),
    total: (own) => {
      total = own;
    },
  });
  return { rows, problems, total, said: problems.map(({ code, place }) => `${place.line} ${code}`) };
}
const readText = (reader: typeof readEml, text: string, mapping?: object) => read(reader, [Buffer.from(text)], mapping);

const contest = (body: string, head = "") =>
  `<?xml version="1.0"?>${head}\n<EML xmlns="urn:oasis:names:tc:evs:schema:eml" Id="510" SchemaVersion="5.0">\n<Count><Election><Contests><Contest><ContestIdentifier Id="1"/>\n${body}\n</Contest></Contests></Election></Count></EML>`;
const unit = (votes: string, more = "") =>
  `<ReportingUnitVotes><ReportingUnitIdentifier Id="u1">One</ReportingUnitIdentifier>\n<Selection><AffiliationIdentifier Id="1"><RegisteredName>A</RegisteredName></AffiliationIdentifier><ValidVotes>${votes}</ValidVotes></Selection>${more}</ReportingUnitVotes>`;

describe("EML 510", () => {
  it.skipIf(!existsSync(SAMPLE))("Kiesraad's sample comes with its totals, list by list", async () => {
    const { rows, total, said } = await read(readEml, [readFileSync(SAMPLE)], { unit: "NL-{id}" });
    expect(rows.map(({ unit }) => unit)).toEqual(["NL-1708__SB1", "NL-1708__SB2", "NL-1708__SB3", "NL-1708__SB4"]);
    const votes = { "1": 20_000, "2": 27_000, "3": 4_950, "4": 300 };
    expect(total).toEqual({ electors: 90_000, ballots: 52_258, blank: 1, invalid: 7, votes });
    // Its totals are made up: some of its stations are in none of them.
    expect(new Set(said.map((line) => line.split(" ")[1]))).toEqual(new Set(["total.units"]));
  });

  it("what we write comes back to the last vote", async () => {
    const { rows, problems } = await readText(readEml, eml);
    expect(problems).toEqual([]);
    const written = release.states.flatMap(({ constituencies }) => constituencies);
    expect(rows).toHaveLength(written.length);
    for (const [n, { electors, blank, invalid, lists }] of written.entries()) {
      const votes = Object.fromEntries(lists.map(({ id, votes }) => [id, votes]));
      expect(rows[n]).toMatchObject({ electors, blank, invalid, votes });
    }
  });

  it("candidates are in their list's total, or make it up", async () => {
    const candidate = (votes: number) =>
      `<Selection><Candidate><CandidateIdentifier Id="1"/></Candidate><ValidVotes>${votes}</ValidVotes></Selection>`;
    const listed = await readText(readEml, contest(unit("10", candidate(6) + candidate(4))));
    expect(listed.rows[0]?.votes).toEqual({ "1": 10 });
    const own = (votes: number) =>
      `<Selection><Candidate><CandidateIdentifier Id="1"/><Affiliation><AffiliationIdentifier Id="7"/></Affiliation></Candidate><ValidVotes>${votes}</ValidVotes></Selection>`;
    const summed = await readText(readEml, contest(unit("10", own(6) + own(4)), ""), {
      lists: { "1": "NL01", "7": "NL07" },
    });
    expect(summed.rows[0]?.votes).toEqual({ NL01: 10, NL07: 10 });
  });

  it.each([
    ["-5", "5 figure.negative"],
    ["5.5", "5 figure.fraction"],
    ["", "5 figure.empty"],
    ["=1+1", "5 figure.formula"],
    ["1O", "5 figure.malformed"],
    ["99999999999", "5 figure.too-large"],
  ])("figure %j", async (votes, said) => {
    const { rows, said: all } = await readText(readEml, contest(unit(votes)));
    expect([rows, all]).toEqual([[], [said]]);
  });

  const laughs = `<!DOCTYPE EML [<!ENTITY a "ha">${Array.from({ length: 20 }, (_, n) => `<!ENTITY a${n} "&a;&a;&a;&a;">`).join("")}]>`;
  it.each([
    ["a document type with endless texts", contest(unit("&a19;"), laughs), "file.hostile"],
    [
      "a document type with another file",
      contest(unit("&x;"), '<!DOCTYPE EML [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
      "file.hostile",
    ],
    ["a document type alone", contest(unit("1"), '<!DOCTYPE EML SYSTEM "http://127.0.0.1:9/x.dtd">'), "file.hostile"],
    ["an entity of its own", contest(unit("&x;")), "file.hostile"],
    ["ten thousand levels", "<EML>".repeat(10_000), "file.hostile"],
    ["another root", "<html></html>", "file.format"],
    ["no count in it", "<EML></EML>", "file.format"],
    ["tags that cross", contest("<TotalVotes><Selection></TotalVotes></Selection>"), "file.format"],
    ["one text of a MiB", contest(unit("1".repeat(1 << 20))), "row.too-long"],
    ["one attribute of a MiB", contest(`<TotalVotes a="${"x".repeat(1 << 20)}"/>`), "row.too-long"],
    ["nothing", "", "file.format"],
  ])("is refused: %s", async (_, text, code) => {
    const { rows, problems } = await readText(readEml, text);
    expect(rows).toEqual([]);
    expect(problems.map((problem) => problem.code)).toEqual([code]);
  });
});

describe("NIST 1500-100", () => {
  it("what we write comes back to the last vote", async () => {
    const { rows, problems } = await readText(readNist, nist);
    expect(problems).toEqual([]);
    const written = release.states.flatMap(({ constituencies }) => constituencies);
    expect(rows).toHaveLength(written.length);
    for (const [n, { electors, blank, invalid, ballots, lists }] of written.entries()) {
      const votes = Object.fromEntries(lists.map(({ id, votes }) => [id, votes]));
      expect(rows[n]).toMatchObject({ electors, ballots, blank, invalid, votes });
    }
  });

  const report = (count: string, more = "") =>
    `{"@type":"ElectionResults.ElectionReport","Election":[{"Contest":[{\n"ContestSelection":[{"@id":"s","VoteCounts":[{"GpUnitId":"u","Type":"total",\n"Count":${count}}]}]}]}]${more}}`;
  it.each([
    ["-5", ["3 figure.negative"]],
    ["5.5", ["3 figure.fraction"]],
    ["null", ["3 figure.empty"]],
    ['"5"', ["3 figure.malformed"]],
    ["1e99", ["3 figure.too-large"]],
  ])("figure %j", async (count, said) => {
    const { rows, said: all } = await readText(readNist, report(count));
    expect([rows, all]).toEqual([[], said]);
  });

  it.each([
    ["a key twice", report("1", ',"Election":[]'), "file.format"],
    ["ten thousand levels", "[".repeat(10_000), "file.hostile"],
    ["one text of a MiB", `{"a":"${"x".repeat(1 << 20)}"}`, "row.too-long"],
    ["another report", '{"@type":"x"}', "file.format"],
    ["no JSON", "{nothing}", "file.format"],
    ["two of them", `${report("1")}${report("1")}`, "file.format"],
    ["a list", "[]", "file.format"],
    ["nothing", "", "file.empty"],
  ])("is refused: %s", async (_, text, code) => {
    expect((await readText(readNist, text)).problems.map((problem) => problem.code)).toEqual([code]);
  });
});

/** As long as asked for, and made as it is read. */
function* endless(begin: string, filler: string, bytes: number): Generator<Uint8Array> {
  yield Buffer.from(begin);
  const chunk = Buffer.alloc(1 << 20, filler);
  for (let sent = 0; sent < bytes; sent += chunk.length) yield chunk;
}

describe("whatever the pieces", () => {
  it.each([
    ["EML", readEml, eml],
    ["NIST", readNist, nist],
  ] as const)("property: %s says the same in any pieces", async (_, reader, text) => {
    const bytes = Buffer.from(text).subarray(0, 40_000);
    const whole = await read(reader, [bytes]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, n) => bytes.subarray(at[n], end));
        const { rows, said } = await read(reader, pieces);
        expect([rows, said]).toEqual([whole.rows, whole.said]);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ["EML", readEml, eml],
    ["NIST", readNist, nist],
  ] as const)("%s that is cut anywhere tells of it once, and never throws", async (_, reader, text) => {
    const bytes = Buffer.from(text.trimEnd());
    for (let end = 0; end < bytes.length; end += 9_973) {
      const { said } = await read(reader, [bytes.subarray(0, end)]);
      expect([end, said]).toEqual([end, [expect.stringMatching(/ file\.(cut|empty|format)$/)]]);
    }
  });

  it.each([
    ["EML, one text", readEml, `<EML><Count>`, "1"],
    ["EML, one tag", readEml, `<EML><Count><a `, "b"],
    ["EML, one comment", readEml, `<EML><!--`, "c"],
    ["EML, blanks", readEml, "<EML>", " "],
    ["NIST, one text", readNist, '{"a":"', "x"],
    ["NIST, one number", readNist, '{"a":', "1"],
    ["NIST, blanks", readNist, '{"a":', " "],
  ] as const)("a GiB that never ends is not read to its end: %s", async (_, reader, begin, filler) => {
    const before = process.memoryUsage().rss;
    const { problems } = await read(reader, endless(begin, filler, 2 ** 30));
    expect(problems.map(({ code }) => code)).toEqual([expect.stringMatching(/^(row\.too-long|file\.format)$/)]);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 2 ** 20);
  });
});
