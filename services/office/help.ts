import type { CommandName } from "./options.ts";

const COMMON = `
Everywhere: --office FOLDER (else $SCRUTIN_OFFICE, else ./office), --json for scripts, --help.
Signing asks for the key's passphrase on the terminal; scripts give --passphrase-file FILE or $SCRUTIN_OFFICE_PASSPHRASE_FILE.
Exit codes: 0 done; 1 something is wrong with what was given, and nothing was sent; 2 the command itself; 3 the door does not answer: run it again.
`;

export const HELP = `The office's side of an election night: from a file of figures to receipts. Everything that is signed lies in the office's folder before it
is sent, and can be sent again: nothing is counted twice, and nothing is lost.

  npm run office -- <command> [options]

Once:
  keygen --state DE --official "Ada Example"    makes your key, encrypted, and the request to enrol it
  enrol --exercise stack.json                   in an exercise of npm start: the key is admitted at once
  enrol DECISION.json --definition …            in a live election: with what two trustees signed for your request

With figures:
  map FILE                                      drafts a mapping of a CSV file's columns
  check FILE --map M                            everything that the ledger would say of it, before anything is signed
  sign FILE --map M                             signs what is new in it, and puts it into the spool
  cosign [FILE …]                               a second official signs what waits for it, or these files
  submit                                        sends what waits, and keeps the receipts
  status                                        what was sent, accepted, quarantined and why, and what is missing
  correct UNIT --set ballots=401 --reason R     a new version of one unit, the old and the new side by side

And:
  close                                         the polls of the state, or of --constituency C, are closed
  extend --until INSTANT --reason R             they close later: by four hours at most
  seats CONSTITUENCY --set DE01=29 …            declared seats
  declare final|official                        the state's result; two officials sign it
  void N --reason R                             sequence number N will never be used
  prove [N]                                     fetches the proof that a statement is in the public log, and verifies it
${COMMON}`;

/** What each command says of itself, with examples. */
export const HELP_OF: Readonly<Record<CommandName, string>> = {
  keygen: `keygen --state S --official NAME [--id KEYID] [--backup] [--from JWK]
Makes an Ed25519 key in <office>/keys, encrypted with a passphrase of yours, and a request for the authority that proves that you hold it. Read the fingerprint
to the authority over the telephone; whoever admits the key compares it. --backup: a key that is kept away from the night and can only revoke and rotate.
--from takes a private JWK that there is already (an exercise's practice key).
  npm run office -- keygen --state DE --official "Ada Example"
`,
  enrol: `enrol --exercise STACK.json
enrol DECISION.json --definition FILE [--signatures FILE] [--authority FILE] --url https://INGEST [--release URL]
An exercise of npm start admits your key by itself. In a live election two trustees sign the request (npm run trustee -- key enrol --request …), and your key signs
last: what they send back to you is DECISION.json.
  npm run office -- enrol --exercise stack.json
`,
  map: `map FILE [--out MAPPING.json]
Drafts a mapping: what the file's form is, and which of its columns probably say what. Complete it; services/office/examples has three whole ones.
`,
  check: `check FILE [--map MAPPING.json] [--status final|provisional] [--reason TEXT]
Says everything that the ledger would say of this file, with line, column, value, rule and what to do, and signs nothing. EML 510 and NIST 1500-100 need no mapping.
Without an office's folder it checks what the file alone can show. Exit code 1 if anything in it would be refused or quarantined.
  npm run office -- check stations.csv --map germany.mapping.json
`,
  sign: `sign FILE [--map MAPPING.json] [--status final|provisional] [--reason TEXT] [--only-good]
Checks the file, then signs what is new in it: units that were signed before with the same figures are left out, others get their next version.
Nothing is signed if anything is wrong, unless --only-good leaves those rows out. A figure that falls needs --reason, or a column with reasons.
`,
  cosign: `cosign [FILE …] [--key KEYID]
Shows what waits for another official's signature, or these files, asks for a yes, and adds yours. The key must be of another person than the first one's.
`,
  submit: `submit [--wait 10m]
Sends everything that has no receipt yet, several at a time; a unit's correction waits for the receipt of what it corrects. Stop it at any moment, and run it
again: what has its receipt is not sent again. --wait says how long a door that does not answer is asked (default 10m; days are fine: 3d).
`,
  status: `status
What was signed, sent, accepted, quarantined and why, which numbers are missing, and which units of the state have not been reported.
`,
  correct: `correct UNIT --set NAME=NUMBER … --reason TEXT
A new version of one unit: the last one with these figures (electors, ballots, blank, invalid, or a list's id) changed, shown side by side before it is signed.
  npm run office -- correct SI-1001-001 --set ballots=274 --set SI06=73 --reason "One envelope was found"
`,
  close: `close [--constituency C]\nSigns that the polls are closed. The gate waits for every state's.\n`,
  extend: `extend --until 2029-06-10T22:00:00Z --reason TEXT [--constituency C]\nThe polls close later, by at most four hours; a closure is taken back by it.\n`,
  seats: `seats CONSTITUENCY --set LIST=SEATS …\nDeclares the seats of a constituency: they must add up to its seats.\n`,
  declare: `declare final|official\nFinal when every unit is in; official after that. Two officials sign: cosign it, then submit.\n`,
  void: `void N --reason TEXT\nSequence number N of your key will never be used: it closes a gap.\n`,
  prove: `prove [N] [--key KEYID] [--out FILE]
Fetches the proof (C2SP tlog-proof) that statement N of your key, or the last one with a receipt, is in the public log, and verifies it with the definition alone.
`,
};

export const helpFor = (command: CommandName | undefined): string =>
  command === undefined ? HELP : `${HELP_OF[command]}${COMMON}`;
