import { check, sleep } from "k6";
import http from "k6/http";
import { Rate, Trend } from "k6/metrics";

// Newsrooms that ask every second, from an address each (--local-ips): started by `npm run loadtest`, which sets all of this.
const url = __ENV.URL;
const lift = Number(__ENV.LIFT);
if (!/^http:\/\/127\./.test(url)) throw new Error(`${url} is not an address of this machine`);

export const options = {
  discardResponseBodies: true,
  scenarios: {
    pollers: {
      executor: "constant-vus",
      vus: Number(__ENV.CLIENTS),
      duration: `${__ENV.SECONDS}s`,
      gracefulStop: "5s",
    },
  },
  thresholds: {
    answered: ["rate==1"],
    http_req_failed: ["rate==0"],
    poll_after_lift: ["p(99)<250"],
  },
  summaryTrendStats: ["min", "med", "p(95)", "p(99)", "max", "count"],
};

const answered = new Rate("answered");
const afterLift = new Trend("poll_after_lift", true);
http.setResponseCallback(http.expectedStatuses(200, 304, 403));
let tag;

export default function poll() {
  if (tag === undefined && __ITER === 0) sleep(Math.random());
  const started = Date.now();
  const headers = { "accept-encoding": "br", ...(tag ? { "if-none-match": tag } : {}) };
  const response = http.get(`${url}/v1/releases/latest`, { headers });
  const good = response.status === 200 || response.status === 304 || (response.status === 403 && tag === undefined);
  answered.add(good);
  check(response, { "is answered": () => good });
  if (response.status === 200) tag = response.headers.Etag;
  // The lift is in the log a moment after this instant: all of these came after the last close.
  if (started >= lift) afterLift.add(response.timings.duration + response.timings.blocked);
  sleep(Math.max(0, 1 - (Date.now() - started) / 1000));
}

export function handleSummary(data) {
  return { [__ENV.OUT]: JSON.stringify(data) };
}
