import { useEffect, useState } from "preact/hooks";
import { act, askSession, type SignedIn } from "./live.ts";
import { go } from "./ui.tsx";

const WHY: Record<string, string> = {
  late: "That took too long, or was begun in another window. Try again.",
  role: "You are known, but have no role here. Ask the administrator of the provider for one.",
  refused: "The provider's answer was refused. Try again; if it stays so, the log of watch says why.",
};

/** Who is not signed in sees this, whatever page was asked for. */
export function SignIn({ found, signedIn }: { found: SignedIn; signedIn: () => void }) {
  const why = new URLSearchParams(location.search).get("why");
  const [problem, setProblem] = useState(why === null ? "" : (WHY[why] ?? ""));
  useEffect(() => {
    const link = location.hash.slice(1);
    if (link === "" || !found.ways.link) return;
    // Out of the address bar and the history at once: it works once, and is nobody else's.
    history.replaceState(null, "", "/sign-in");
    act("/auth/link", { link }, "")
      .then(askSession)
      .then(
        () => {
          go("/");
          signedIn();
        },
        (error: Error) => setProblem(error.message),
      );
  }, []);
  return (
    <section class="panel sign-in">
      <h2>Sign in</h2>
      {found.expired === true && <p>Your session is over: eight hours are one shift.</p>}
      {found.ways.provider && (
        <p>
          <a class="button" href="/auth/begin">
            Sign in with the provider
          </a>
        </p>
      )}
      {found.ways.link && <p>Open the link that was printed when the exercise began. It signs in one operator, once.</p>}
      {!found.ways.provider && !found.ways.link && <p>Nobody can sign in here: watch was given neither a provider nor a link.</p>}
      <p role="alert">{problem}</p>
    </section>
  );
}
