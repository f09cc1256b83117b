import { check } from "k6";
import { SharedArray } from "k6/data";
import exec from "k6/execution";
import http from "k6/http";

// Offices that push bodies signed beforehand: k6 run -e BODIES=bodies.json [-e VUS=64] loadtest/offices.js
const file = __ENV.BODIES || "bodies.json";
const bodies = new SharedArray("bodies", () => JSON.parse(open(file)).bodies);
const url = new SharedArray("url", () => [JSON.parse(open(file)).url])[0];

// Load never leaves this machine, so nobody else can answer there: k6 knows no pins, and asks no authority.
if (!/^https:\/\/(127\.|localhost|\[::1\])/.test(url)) throw new Error(`${url} is not an address of this machine`);

export const options = {
  insecureSkipTLSVerify: true,
  tlsVersion: { min: "tls1.3", max: "tls1.3" },
  scenarios: {
    offices: {
      executor: "shared-iterations",
      vus: Number(__ENV.VUS || 64),
      iterations: bodies.length,
      maxDuration: "5m",
    },
  },
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate==0"],
    http_req_duration: ["p(99)<500"],
  },
};

export default function push() {
  const body = bodies[exec.scenario.iterationInTest];
  const response = http.post(url, body, { headers: { "content-type": "application/jose", prefer: "wait=10" } });
  check(response, { "has a receipt after COMMIT": (r) => r.status === 201 && r.json("receipt") !== undefined });
}
