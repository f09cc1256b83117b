/**
 * The page: takes a proof file or a statement's SHA-256, has the checks made, and shows each as it is made. Whatever it shows is put in as
 * text, never as markup: file and answers are anyone's.
 */

import "./nacl.js"; // tweetnacl, as its authors publish it: leaves itself as `nacl`
import { canHash } from "./bytes.js";
import { runChecks, summaryOf } from "./checks.js";
import { pending, Unreachable } from "./states.js";

/** A proof has 63 hashes at most, and an entry of less than 64 KiB in base64. */
const MAX_FILE_BYTES = 128 * 1024;
const ANSWER_MS = 20_000;

const place = (id) => document.getElementById(id);

/** A file from the own origin, and nowhere else. */
async function get(path) {
  try {
    const answer = await fetch(path, {
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { status: answer.status, bytes, code: answer.ok ? undefined : codeOf(bytes) };
  } catch (cause) {
    throw new Unreachable(path, { cause });
  }
}

/** The code of a refusal (RFC 9457), if this is one of ours. */
function codeOf(bytes) {
  try {
    const { code } = JSON.parse(new TextDecoder().decode(bytes));
    return /^[a-z-]+\.[a-z-]+$/.test(code) ? code : undefined;
  } catch {
    return undefined; // an error of something in between
  }
}

/** A newer question ends the showing of an older one. */
let asking = 0;

async function verify(asked, about) {
  const turn = ++asking;
  show([]);
  say(`Verifying ${about} …`);
  const lines = [];
  try {
    for await (const line of canHash() ? runChecks(asked, { get, nacl: globalThis.nacl }) : [noHash]) {
      if (turn !== asking) return;
      lines.push(line);
      show(lines);
    }
    if (turn === asking) say(`${about}: ${summaryOf(lines)}`);
  } catch (error) {
    if (turn === asking)
      say(
        `${about}: this page has failed, and has verified nothing. Use the audit, and tell whoever runs this server.`,
      );
    throw error;
  }
}

const noHash = {
  title: "This browser",
  ...pending(
    "Browsers compute SHA-256 (crypto.subtle) only for pages that came over https or from the same machine, and this one did not. Open it by its https address, or use the audit, which needs no browser.",
  ),
};

/** Lines that are shown already stay as they are: whoever reads one, or has opened its text, is not disturbed. */
function show(lines) {
  const list = place("checks");
  if (lines.length < list.children.length) list.replaceChildren();
  list.append(...lines.slice(list.children.length).map(lineOf));
}

function say(sentence) {
  place("summary").textContent = sentence;
}

/** An element with what stands in it: text, or elements. */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** A sign beside each word, for whoever looks quickly; the colour is the third to say it. */
const SIGNS = { holds: ["✓", "well"], "does not hold": ["✗", "ill"], "not possible yet": ["…", "quiet"] };

function lineOf({ title, state, sentence, facts, table, text }) {
  const [sign, className] = SIGNS[state];
  const mark = element("span", "sign", sign);
  mark.setAttribute("aria-hidden", "true");
  const heading = element("h3", className, mark, ` ${title}: ${state}`);
  const line = element("li", "", heading, element("p", "", sentence));
  line.dataset.state = state;
  if (facts?.length > 0) line.append(factsOf(facts));
  if (table !== undefined) line.append(tableOf(table));
  if (text !== undefined)
    line.append(element("details", "", element("summary", "", text.label), element("pre", "", text.value)));
  return line;
}

function factsOf(facts) {
  const rows = facts.map(([label, value]) =>
    element("div", "", element("dt", "quiet", label), element("dd", "", value)),
  );
  return element("dl", "", ...rows);
}

function tableOf({ caption, columns, rows }) {
  const heads = columns.map((column) => {
    const head = element("th", "", column);
    head.scope = "col";
    return head;
  });
  const body = rows.map((row) => element("tr", "", ...row.map((cell) => element("td", "", cell))));
  const table = element(
    "table",
    "",
    element("caption", "quiet", caption),
    element("thead", "", element("tr", "", ...heads)),
    element("tbody", "", ...body),
  );
  const scroll = element("div", "scroll", table);
  // A region that scrolls can be scrolled by keyboard only if it can be focused.
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", caption);
  return scroll;
}

async function takeFile(file) {
  if (file === undefined) return say("That was no file. Drop a proof file, or choose one.");
  if (file.size > MAX_FILE_BYTES) return say(`${file.name} is too large to be a proof.`);
  await verify({ file: new Uint8Array(await file.arrayBuffer()) }, file.name);
}

function takeHash(typed) {
  const hash = typed.trim().toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hash)) return say("A SHA-256 has 64 hexadecimal digits (0 to 9, a to f).");
  return verify({ hash }, `statement ${hash.slice(0, 8)}…`);
}

function listen() {
  const zone = place("drop");
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // else the browser would leave the page for the file
      zone.classList.toggle("over", kind === "dragover");
    });
  document.addEventListener("drop", ({ dataTransfer }) => takeFile(dataTransfer?.files[0]));
  place("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be chosen again
    if (file !== undefined) takeFile(file);
  });
  place("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    takeHash(place("hash").value);
  });
  if (canHash()) say("Nothing verified yet.");
  else verify({}, "This browser");
}

listen();
