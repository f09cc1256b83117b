import type { Definition } from "../definition/schema.ts";
import { eml510, eml520 } from "./eml.ts";
import { nistReport } from "./nist.ts";
import type { Release } from "./release.ts";
import { releaseCsv } from "./release-csv.ts";
import { divisionSheet, divisionsOf, euSheet } from "./sheets.ts";
import { sheetJson } from "./sheets-form.ts";
import { groupsSheet, partiesCsv, partiesSheet, resultsCsv } from "./sheets-lists.ts";
import { sheetNotes } from "./sheets-notes.ts";

/** A file that is made of a release: by the publication endpoint, by whoever pulls, and for the static bundle, byte for byte the same. */
export interface ReleaseFile {
  /** Its path below `/v1/releases/<n>/files`. */
  name: string;
  mediaType: string;
  text(): string;
}

const JSON_TYPE = "application/json";
const XML_TYPE = "application/xml";
const CSV_TYPE = "text/csv; charset=utf-8; header=present";

/** None where the message has nothing to say. */
function eml(name: string, text: string | undefined): ReleaseFile[] {
  return text === undefined ? [] : [{ name, mediaType: XML_TYPE, text: () => text }];
}

/** Every file that a release makes. Throws RangeError for a release of another definition. */
export function releaseFiles(release: Release, definition: Definition): ReleaseFile[] {
  const json = (name: string, text: () => string): ReleaseFile => ({ name, mediaType: JSON_TYPE, text });
  const csv = (name: string, text: () => string): ReleaseFile => ({ name, mediaType: CSV_TYPE, text });
  const divisions = divisionsOf(release, definition).map((division) => {
    return { division, name: division.id.toLowerCase() };
  });
  return [
    csv("release.csv", () => releaseCsv(release)),
    json("sheets/notes.json", () => `${JSON.stringify(sheetNotes(release, definition), null, 2)}\n`),
    json("sheets/eu.json", () => sheetJson(euSheet(release, definition))),
    ...divisions.map(({ division, name }) =>
      json(`sheets/${name}.json`, () => sheetJson(divisionSheet(division, release, definition))),
    ),
    json("sheets/groups.json", () => sheetJson(groupsSheet(definition))),
    json("sheets/parties.json", () => sheetJson(partiesSheet(definition))),
    csv("sheets/parties.csv", () => partiesCsv(definition)),
    ...divisions.map(({ division, name }) =>
      csv(`sheets/results-parties-${name}.csv`, () => resultsCsv(division, release)),
    ),
    ...eml("eml-510.xml", eml510(release, definition)),
    ...eml("eml-520.xml", eml520(release, definition)),
    json("nist-1500-100.json", () => nistReport(release, definition)),
  ];
}
