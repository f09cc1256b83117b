import { z } from "zod";

/** Reads the Parliament's data sheets back: its own and ours alike. Each throws (ZodError or SyntaxError) for what is none. */

const Share = z.number().nonnegative().max(100);
const Groups = z.array(z.strictObject({ id: z.string(), seatsTotal: z.number().int(), seatsPercentEU: Share }));
const Header = z.strictObject({ title: z.string(), status: z.string(), time: z.string() });
const Member = z.strictObject({
  id: z.string(),
  seatsTotal: z.number().int(),
  votesPercent: Share.nullable(),
  groupDistribution: Groups.nullable(),
});
const Party = Member.extend({ type: z.enum(["PARTY", "COALITION"]), members: z.array(Member).nullable() });

const DivisionSheet = z.strictObject({
  id: z.string(),
  parentDivision: z.string().nullable(),
  districts: z.array(z.string()).nullable(),
  seatsTotal: z.number().int(),
  seatsPercentEU: Share,
  groupSummary: Header.extend({ groupDistribution: Groups }),
  partySummary: z.strictObject({
    breakdownByPartyHeader: Header,
    resultsByPartyHeader: Header,
    seatsByParty: z.array(Party),
  }),
});

const EuSheet = Header.extend({ seatsTotal: z.number().int(), groupDistribution: Groups });

/** Totals of a sheet; percentages as decimals of two places (`"10.00"`), null where there is none. */
export interface SheetTotals {
  id: string;
  status: string;
  seats: number;
  groups: Record<string, number>;
  lists: { id: string; seats: number; share: string | null; groups: Record<string, number> }[];
}

const seatsOf = (groups: z.infer<typeof Groups> | null) =>
  Object.fromEntries((groups ?? []).map(({ id, seatsTotal }) => [id, seatsTotal]));

const decimal = (share: number | null) => (share === null ? null : share.toFixed(2));

export function readDivisionSheet(text: string): SheetTotals {
  const { id, seatsTotal, groupSummary, partySummary } = DivisionSheet.parse(JSON.parse(text));
  return {
    id,
    status: partySummary.resultsByPartyHeader.status,
    seats: seatsTotal,
    groups: seatsOf(groupSummary.groupDistribution),
    lists: partySummary.seatsByParty.map((party) => ({
      id: party.id,
      seats: party.seatsTotal,
      share: decimal(party.votesPercent),
      groups: seatsOf(party.groupDistribution),
    })),
  };
}

/** `eu.json`: seats of the Union by group. */
export function readEuSheet(text: string): { status: string; seats: number; groups: Record<string, number> } {
  const { status, seatsTotal, groupDistribution } = EuSheet.parse(JSON.parse(text));
  return { status, seats: seatsTotal, groups: seatsOf(groupDistribution) };
}

/** Rows of one of the sheets' CSV files, by column. Throws SyntaxError for quotes that do not close and rows of another length. */
export function readSheetCsv(text: string): Record<string, string>[] {
  const [columns, ...rows] = cellsOf(text);
  if (columns === undefined) throw new SyntaxError("the file is empty");
  return rows.map((row, n) => {
    if (row.length !== columns.length)
      throw new SyntaxError(`row ${n + 1} has ${row.length} cells, not ${columns.length}`);
    return Object.fromEntries(columns.map((column, at) => [column, row[at] ?? ""]));
  });
}

const CELL = /(?:"((?:[^"]|"")*)"|([^";\r\n]*))(;|\r?\n|$)/y;

function cellsOf(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length; at = CELL.lastIndex) {
    CELL.lastIndex = at;
    const found = CELL.exec(text);
    if (found === null) throw new SyntaxError(`character ${at} of the file is out of place`);
    const [, quoted, plain, end] = found;
    row.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
    if (end !== ";") {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}
