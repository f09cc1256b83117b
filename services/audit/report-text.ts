import { inWords } from "./freshness.ts";
import { many, type Report } from "./report.ts";

/** The report for people: what was checked, in figures; what it rests on; what could not be checked; or what is wrong. */

const WIDTH = 100;

const number = (value: number) => value.toLocaleString("en-GB");

/** Lines of at most `WIDTH` characters; those after the first begin with as many spaces as `first` has characters. */
function wrap(first: string, text: string): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > WIDTH && line.trim() !== "" && line !== first) {
      lines.push(line.trimEnd());
      line = " ".repeat(first.length);
    }
    line += line.endsWith(" ") || line === "" ? word : ` ${word}`;
  }
  return [...lines, line.trimEnd()];
}

const row = (name: string, text: string) => wrap(`  ${name.padEnd(14)}`, text);
const section = (title: string, sentences: readonly string[]) =>
  sentences.length === 0 ? [] : ["", title, ...sentences.flatMap((sentence) => wrap("  - ", sentence))];

export function reportText(report: Report): string {
  const { election, failure } = report;
  const lines = [
    ...(election?.mode === "exercise" ? ["EXERCISE. Nothing below is the result of an election.", ""] : []),
    `Audit of ${report.url}${election === null ? "" : `: ${election.title}`}`,
    "",
    ...(failure === null ? verdictLines(report) : failureLines(failure)),
    ...section("Look into this", report.warnings),
    ...section("What is taken on trust", report.onTrust),
    "",
    failure === null ? "What was checked" : "What was checked before that",
    ...checkedLines(report),
    ...section("What could not be checked", report.notChecked),
  ];
  return `${lines.join("\n")}\n`;
}

function verdictLines({ seats }: Report): string[] {
  const before = "ALL OF IT HOLDS, as far as it is open: the polls' figures have not been released yet.";
  return seats === null ? [before] : ["ALL OF IT HOLDS."];
}

function failureLines({ code, means, what, path, index, who }: NonNullable<Report["failure"]>): string[] {
  return [
    "THE AUDIT FAILED. This is the first thing that is wrong:",
    "",
    ...wrap("  ", means),
    ...row("what", what),
    ...(path === null ? [] : row("where", path)),
    ...(index === null ? [] : row("entry", number(index))),
    ...row("code", code),
    ...row("who explains", `This must be explained by ${who}.`),
  ];
}

function checkedLines(report: Report): string[] {
  const { definition, checkpoint, lastVisit, lift, figures } = report;
  const { statements, signatures, verdicts, releases, keys } = figures;
  const lines: string[] = [];
  if (definition !== null)
    lines.push(...row("definition", `SHA-256 ${definition.sha256}, signed by ${definition.signedBy.join(" and ")}`));
  if (checkpoint !== null) lines.push(...checkpointLines(checkpoint));
  if (lastVisit !== null)
    lines.push(
      ...row("last visit", `the ${many(lastVisit.size, "entry", "entries")} of ${lastVisit.at} are unchanged`),
    );
  if (figures.entries > 0)
    lines.push(
      ...row(
        "log",
        `${many(figures.entries, "entry", "entries")} in order; ${many(figures.tiles, "tile")} hashed again`,
      ),
    );
  if (statements.open > 0)
    lines.push(
      ...row("statements", `${many(statements.open, "statement")} opened and compared with the log`),
      ...row("signatures", `${number(signatures.first)} verified by node:crypto, ${secondText(report)}`),
      ...row("verdicts", verdictText(verdicts, figures.foreseen)),
    );
  const changes = Object.entries(keys).filter(([, count]) => count > 0);
  if (changes.length > 0)
    lines.push(...row("keys", changes.map(([how, count]) => `${number(count)} ${how}`).join(", ")));
  if (figures.equivocations > 0)
    lines.push(
      ...row(
        "equivocations",
        `${many(figures.equivocations, "statement")} under a number that was used before, all quarantined`,
      ),
    );
  if (lift !== null)
    lines.push(
      ...row(
        "lift",
        `entry ${number(lift.index)}, ${lift.received}: every closing had passed and every state was closed or overridden`,
      ),
    );
  if (releases.checked > 0)
    lines.push(
      ...row(
        "releases",
        `${many(releases.checked, "release")} counted again twice, by different code, byte for byte${partlyText(releases)}`,
      ),
    );
  lines.push(...broughtLines(report), ...seatLines(report));
  return lines.length === 0 ? ["  nothing"] : lines;
}

function checkpointLines({
  origin,
  size,
  root,
  vkey,
  newest,
  quorum,
  cosigned,
}: NonNullable<Report["checkpoint"]>): string[] {
  const names = cosigned.map(({ name, at }) => `${name} (${at})`).join(", ");
  const needed = quorum === 0 ? "" : `; ${number(quorum)} needed`;
  return [
    ...row("checkpoint", `${origin}, ${many(size, "entry", "entries")}, root ${root}, signed by the ledger`),
    ...row("log key", vkey),
    ...row("witnesses", cosigned.length === 0 ? "none" : `${names}${needed}`),
    ...(newest === null
      ? []
      : row("newest", `${newest.at} (${newest.by}), ${inWords(newest.ageSeconds)} before this audit ended`)),
  ];
}

function secondText({ figures: { signatures }, sample }: Report): string {
  if (sample === null || sample.share === 1) return `${number(signatures.second)} again by tweetnacl`;
  const share = `${(sample.share * 100).toFixed(1)} %`;
  return `${number(signatures.second)} again by tweetnacl: a random sample of ${share} of the statements (--seed ${sample.seed} draws it again; --every takes all)`;
}

function verdictText({ checked, accepted, quarantined }: Report["figures"]["verdicts"], foreseen: number): string {
  const judged = `${number(checked)} given again by the rules: ${number(accepted)} accepted, ${number(quarantined)} quarantined`;
  return foreseen === 0 ? judged : `${judged}; ${number(foreseen)} more judged before the ledger's verdict is open`;
}

const partlyText = ({ partly }: Report["figures"]["releases"]) =>
  partly === 0 ? "" : `; ${number(partly)} of them but for states that are withheld now`;

function broughtLines({ figures: { receipts, proofs, evidence } }: Report): string[] {
  const brought = [
    [receipts, "receipt"],
    [proofs, "proof"],
    [evidence, "evidence file"],
  ] as const;
  const held = brought.filter(([count]) => count > 0).map(([count, name]) => many(count, name));
  return held.length === 0 ? [] : row("your files", `${held.join(", ")}: the log holds what they say`);
}

function seatLines({ seats, election }: Report): string[] {
  if (seats === null) return [];
  const groups = Object.entries(seats.groups).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const total = election === null ? "" : ` of ${number(election.seats)}`;
  return [
    ...row(
      "seats",
      `${number(seats.allocated)}${total}, by release ${number(seats.release)} (${seats.status}), as both counts of this audit find:`,
    ),
    ...wrap(" ".repeat(16), groups.map(([group, count]) => `${group} ${number(count)}`).join(", ")),
  ];
}
