export const HELP = `Signs and submits what trustees decide. It runs on the trustee's own machine, with the trustee's own key.

  npm run trustee -- <command> [options]

One trustee is enough; signed and submitted at once:
  hold <EU|state>                      nothing of the Union, or of this state, is published until two trustees resume

Two trustees: the first one's command makes a file, the second one cosigns it, either of them submits it:
  resume <EU|state>                    ends a hold
  override <state>                     the gate may open although this state has not signed that its polls are closed
  void <state> --entry N               the extension in entry N of the log, which this state signed, counts no more
  suspend <trustee's key id>           this trustee signs no more (signed by two others)
  draw <constituency> --within W --order A,B,C
                                       a tie as the release reports it, in the order that the lot gave
  key revoke <key id> --since INSTANT  an office's key; figures, seats and declarations that it signed and the log received after the
                                       instant (UTC) count for nothing. Closures, extensions and voids that it signed stand
  key enrol --request FILE             a new key of an office, as it asks for it: shows the fingerprint to be compared by telephone.
                                       After two trustees the office signs with the new key, and submits it
  key enrol <key id> --public-key K --state S --official NAME [--backup]
                                       the same without a request
  recover                              the vault goes on with the recovery key; given to the ledger at its start if it is down already
Two trustees, and then given to the ledger at its start instead of being submitted:
  origin <origin> --new-key ID=KEY --size N --root ROOT
                                       the log goes on under a new origin and key, behind the checkpoint of N entries

  show <file>                          says in plain words what a file decides, and whose signatures in it hold
  cosign <file>                        the same, asks for a typed yes, and writes a file with one more signature
  submit <file>                        sends a complete file to ingest and checks the receipt

Keys:
  key new <key id> --out FILE          a new Ed25519 key; prints the public half for the definition
  recovery new --to ID=FILE (three times)
                                       a new recovery key, split among three trustees at once: the whole key lies nowhere
  recovery split --key FILE --to ID=FILE (three times)
                                       splits a recovery key that is there; remove FILE afterwards
  recovery check <share>...            a share is whole and of this definition; of several, that each pair rebuilds the key
  recovery join <share> <share> --out FILE
                                       the recovery key itself, for the vault, when its own key is lost

Options:
  --reason TEXT       why, in at most 500 characters. It is public. Every decision needs one, but key enrol.
  --key FILE          your private key, an Ed25519 JWK that nobody else may read                (TRUSTEE_KEY_FILE)
  --definition FILE   the definition of the election                                            (SCRUTIN_DEFINITION)
  --signatures FILE   its signatures; default: beside it, definition.signatures.json             (SCRUTIN_DEFINITION_SIGNATURES)
  --authority FILE    the authority's keys that you trust; default: beside it, authority.json    (SCRUTIN_AUTHORITY)
  --url ADDRESS       ingest; https:// with the pins of the definition, http:// on this machine  (SCRUTIN_INGEST_URL)
  --ledger-key ID=KEY the ledger's key after a new origin, to check the receipt with
  --out FILE          the file to make; default: named for the decision, in this folder. Nothing is ever overwritten.
  --sequence N        the sequence number to sign under; see below
  --yes               cosign without asking, for scripts
  --help              this text

Sequence numbers count up for each key and election, and one is never used twice. Before anything is signed the number is claimed by a file in
<key file>.sequence/, which is on the disk before the signature leaves; after a crash the number is skipped. A number whose decision was never
submitted stays a gap: the operators see an incident sequence.gap, and nothing else comes of it. Keep that folder with the key. If it is
lost, or the key signed elsewhere, give --sequence with a number above the last one that the log shows for your key.

Exit code: 0 done; 1 refused, by the door, by the ledger (quarantined), or by the same checks made here; 2 the command, a file or a key
is wrong; 3 no answer, or one that proves nothing: submit the same file again. Each refusal has a code and says what to do.
`;
