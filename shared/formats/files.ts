import type { Definition } from "../definition/schema.ts";
import type { Release } from "./release.ts";
import { releaseCsv } from "./release-csv.ts";

/** A file that is made of a release: by the publication endpoint, by whoever pulls, and for the static bundle, byte for byte the same. */
export interface ReleaseFile {
  /** Its path below `/v1/releases/<n>/files`. */
  name: string;
  mediaType: string;
  text(): string;
}

/** Every file that a release makes. */
export function releaseFiles(release: Release, _definition: Definition): ReleaseFile[] {
  return [
    { name: "release.csv", mediaType: "text/csv; charset=utf-8; header=present", text: () => releaseCsv(release) },
  ];
}
