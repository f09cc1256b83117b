import type { IncidentCode } from "../incidents/catalogue.ts";
import type { Evidence } from "../incidents/life.ts";

/** Something wrong that lasts, as one look saw it. `about`: of several of the same code, which. */
export interface Finding {
  code: IncidentCode;
  about: string | null;
  evidence: Evidence;
}
