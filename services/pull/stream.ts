import type { IncomingMessage } from "node:http";
import { StringDecoder } from "node:string_decoder";

/** One event of a stream (server-sent events, WHATWG HTML 9.2.6). */
export interface StreamEvent {
  event: string;
  data: string;
}

/** What we wait for has 400 bytes. */
const MAX_EVENT_CHARS = 64 * 1024;

/** The events of an answer, in their order, until it ends. Rejects when it is cut off, and for an event without end. */
export async function* eventsOf(response: IncomingMessage): AsyncGenerator<StreamEvent, void, undefined> {
  const decoder = new StringDecoder("utf8");
  let text = "";
  let fields: StreamEvent = { event: "", data: "" };
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += decoder.write(chunk);
    // A carriage return at the end may be the first half of a line end.
    for (let end = lineEnd(text); end !== undefined; end = lineEnd(text)) {
      const line = text.slice(0, end.at);
      text = text.slice(end.next);
      if (line === "") {
        if (fields.data !== "") yield { event: fields.event || "message", data: fields.data.slice(0, -1) };
        fields = { event: "", data: "" };
      } else addLine(fields, line);
    }
    if (text.length + fields.data.length > MAX_EVENT_CHARS) throw new Error("the stream has an event without end");
  }
}

function lineEnd(text: string): { at: number; next: number } | undefined {
  const at = text.search(/[\r\n]/);
  if (at < 0 || (text[at] === "\r" && at === text.length - 1)) return undefined;
  return { at, next: text.startsWith("\r\n", at) ? at + 2 : at + 1 };
}

function addLine(fields: StreamEvent, line: string): void {
  const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
  if (name === "event") fields.event = value;
  else if (name === "data") fields.data += `${value}\n`;
}
