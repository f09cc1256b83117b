import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { Dashboard } from "./dashboard.tsx";
import { Decisions } from "./decisions.tsx";
import { Incident } from "./incident.tsx";
import { Incidents } from "./incidents.tsx";
import { act, askSession, connect, type Live, type Person, type SignedIn, useLive } from "./live.ts";
import { SignIn } from "./sign-in.tsx";
import { State } from "./state.tsx";
import { Link, Mark, span, useNow } from "./ui.tsx";

/** A status that is older than this is not "now". */
const OLD_MS = 5_000;

function usePath(): string {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const moved = () => setPath(location.pathname);
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  return path;
}

function App() {
  const path = usePath();
  const live = useLive();
  const [found, setFound] = useState<SignedIn>();
  const [failed, setFailed] = useState("");
  const look = () =>
    askSession().then(
      (answer) => {
        setFound(answer);
        if (answer.session !== null) connect();
      },
      () => setFailed("Watch does not answer. This page tries again when it is reloaded."),
    );
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, and when the session is over
  useEffect(() => void look(), [live.line === "over"]);
  const isExercise = live.status?.mode !== "live";
  const title = titleOf(path);
  useEffect(() => {
    document.title = `${live.status !== undefined && isExercise ? "EXERCISE: " : ""}${title} – Scrutin watch`;
  }, [title, isExercise, live.status === undefined]);
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header>
        {live.status !== undefined && isExercise && <p class="exercise">EXERCISE: no real result</p>}
        <h1 tabIndex={-1}>{title}</h1>
        {found?.session && live.line !== "over" && <Bar live={live} person={found.session} path={path} />}
      </header>
      <main id="main">
        {found === undefined ? (
          <p role="status">{failed || "Loading."}</p>
        ) : found.session === null || live.line === "over" ? (
          <SignIn found={found} signedIn={() => void look()} />
        ) : live.status === undefined ? (
          <p role="status">{live.line === "cut" ? "Watch does not answer; trying again." : "Loading."}</p>
        ) : (
          <Page path={path} live={live} person={found.session} />
        )}
      </main>
    </>
  );
}

function titleOf(path: string): string {
  if (path.startsWith("/states/")) return decodeURIComponent(path.slice("/states/".length));
  if (path.startsWith("/incidents")) return "Incidents";
  if (path === "/decisions") return "Decisions";
  if (path === "/sign-in") return "Sign in";
  return "Watch";
}

function Page({ path, live: { status }, person }: { path: string; live: Live; person: Person }) {
  if (status === undefined) return null;
  const [, part, rest] = path.split("/");
  if (part === "states" && rest) return <State id={decodeURIComponent(rest)} status={status} />;
  if (part === "incidents" && rest) return <Incident id={rest} status={status} person={person} />;
  if (part === "incidents") return <Incidents status={status} />;
  if (part === "decisions") return <Decisions status={status} person={person} />;
  return <Dashboard status={status} />;
}

function Bar({ live: { status, line, at }, person, path }: { live: Live; person: Person; path: string }) {
  const now = useNow();
  const old = status !== undefined && now - at > OLD_MS && line !== "live";
  const here = (to: string) => (path === to ? "page" : undefined);
  return (
    <div class="bar">
      <nav aria-label="Pages">
        <Link to="/" aria-current={here("/")}>
          Dashboard
        </Link>
        <Link to="/incidents" aria-current={here("/incidents")}>
          Incidents
        </Link>
        {person.roles.includes("trustee") && (
          <Link to="/decisions" aria-current={here("/decisions")}>
            Decisions
          </Link>
        )}
      </nav>
      <p class="line" data-line={line} role="status">
        {line === "live" ? (
          <Mark tone="good">live</Mark>
        ) : (
          <Mark tone="bad">{old ? `cut off: what you see is ${span(now - at)} old` : "connecting"}</Mark>
        )}
      </p>
      {status !== undefined && (
        <p class="well">
          <Mark tone={status.well ? "good" : "bad"}>{status.well ? "all is well" : status.ill.join("; ")}</Mark>
        </p>
      )}
      <p class="who">
        {person.name}, {person.roles.join(", ")}{" "}
        <button
          type="button"
          onClick={() => {
            void act("/auth/out", {}, person.csrf).finally(() => location.assign("/sign-in"));
          }}
        >
          Sign out
        </button>
      </p>
    </div>
  );
}

const root = document.getElementById("page");
if (root === null) throw new Error("the document has no place for the page");
root.replaceChildren();
render(<App />, root);
