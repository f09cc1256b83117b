import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Served } from "./audit-published.ts";

/** What stands for a path when it is asked for as CSV, by Accept. */
export const asCsv = (path: string) => `${path} as CSV`;

/** Serves files from memory on loopback; what is not there is a problem document, as from `release`. */
export interface FileServer {
  url: URL;
  /** What is served from now on. */
  serve(files: Map<string, Served>): void;
  /** Called for each request before it is answered; what it gives is answered instead; "hold": nothing ever is. */
  answer: (path: string) => Served | "hang up" | "hold" | undefined;
  /** Paths in the order in which they were asked for, since the last `serve`. */
  asked: string[];
  close(): Promise<void>;
}

export async function startFileServer(): Promise<FileServer> {
  let files = new Map<string, Served>();
  const server = createServer((request, response) => {
    const { url = "", headers } = request;
    const path = headers.accept === "text/csv" ? asCsv(url) : url;
    served.asked.push(path);
    const instead = served.answer(path);
    if (instead === "hang up") {
      request.socket.destroy();
      return;
    }
    if (instead === "hold") return;
    const missing: Served = {
      status: 404,
      type: "application/problem+json",
      body: Buffer.from('{"code":"request.not-found"}'),
    };
    const { status, type, body, location } = instead ?? files.get(path) ?? missing;
    const where = location === undefined ? {} : { location };
    response.writeHead(status, { "content-type": type, "content-length": body.length, "retry-after": "0", ...where });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const served: FileServer = {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    serve(next) {
      files = next;
      served.asked = [];
      served.answer = () => undefined;
    },
    answer: () => undefined,
    asked: [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return served;
}
