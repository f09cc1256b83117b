// Signs one tally, submits it and verifies the receipt, with the standard library alone. Go 1.22 or newer.
// Usage: go run . KEY DEFINITION URL TALLY      (README.md, one folder up, says what they are)
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

const (
	exitRefused = 1
	exitUsage   = 2
	exitSilent  = 3
)

func end(status int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(status)
}

type privateKey struct {
	Kid string `json:"kid"`
	D   string `json:"d"`
}

type definition struct {
	hash string
	Keys []struct {
		ID        string `json:"id"`
		Role      string `json:"role"`
		PublicKey string `json:"publicKey"`
	} `json:"keys"`
	Door struct {
		Pins []string `json:"pins"`
	} `json:"door"`
}

type header struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

type receipt struct {
	Type       string `json:"type"`
	Definition string `json:"definition"`
	Verdict    string `json:"verdict"`
	Entry      struct {
		Index     int64  `json:"index"`
		Statement string `json:"statement"`
	} `json:"entry"`
	Findings []struct {
		Code string `json:"code"`
		Unit string `json:"unit"`
	} `json:"findings"`
	Statement any `json:"statement"`
}

var base64url = base64.RawURLEncoding.Strict()

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// sign makes the compact JWS of a tally; the fields of the tally file go into it as they are.
func sign(tally []byte, key privateKey, definitionHash string) ([]byte, error) {
	statement := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(tally))
	decoder.UseNumber() // an integer stays one
	if err := decoder.Decode(&statement); err != nil {
		return nil, err
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	statement["type"] = "tally"
	statement["definition"] = definitionHash
	statement["nonce"] = base64url.EncodeToString(nonce)
	statement["issued"] = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	payload, err := json.Marshal(statement)
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(header{Alg: "EdDSA", Kid: key.Kid, Typ: "scrutin+jws"})
	if err != nil {
		return nil, err
	}
	seed, err := base64url.DecodeString(key.D)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("the key is not a private Ed25519 JWK")
	}
	signed := base64url.EncodeToString(head) + "." + base64url.EncodeToString(payload)
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(signed))
	return []byte(signed + "." + base64url.EncodeToString(signature)), nil
}

// signedOnce gives the bytes to send: those in file if it was signed before, otherwise newly signed and on the disk before they leave.
func signedOnce(file string, tally []byte, key privateKey, definitionHash string) ([]byte, error) {
	if jws, err := os.ReadFile(file); err == nil || !errors.Is(err, os.ErrNotExist) {
		return jws, err
	}
	jws, err := sign(tally, key, definitionHash)
	if err != nil {
		return nil, err
	}
	draft, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(jws)
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return nil, err
	}
	// All of it or nothing; where another run was first, its bytes are the ones to send.
	if err := os.Link(draft.Name(), file); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return os.ReadFile(file)
}

// verify gives the receipt and what it says, if the ledger signed it, it is about these bytes and understood them as they are.
func verify(answer, jws []byte, def definition) (string, receipt, error) {
	var said receipt
	var body struct {
		Receipt string `json:"receipt"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return "", said, err
	}
	parts := strings.Split(body.Receipt, ".")
	if len(parts) != 3 {
		return "", said, errors.New("it is no compact JWS")
	}
	var head header
	if err := decode(parts[0], &head); err != nil {
		return "", said, err
	}
	if head.Alg != "EdDSA" || head.Typ != "scrutin-receipt+jws" {
		return "", said, errors.New("it is no receipt")
	}
	signature, err := base64url.DecodeString(parts[2])
	if err != nil {
		return "", said, err
	}
	ledger, err := def.ledgerKey(head.Kid)
	if err != nil {
		return "", said, err
	}
	if !ed25519.Verify(ledger, []byte(parts[0]+"."+parts[1]), signature) {
		return "", said, errors.New("its signature is not the ledger's")
	}
	if err := decode(parts[1], &said); err != nil {
		return "", said, err
	}
	var signed any
	if err := decode(strings.Split(string(jws), ".")[1], &signed); err != nil {
		return "", said, err
	}
	if said.Type != "receipt" || said.Definition != def.hash || said.Entry.Statement != sha256Hex(jws) ||
		!reflect.DeepEqual(said.Statement, signed) {
		return "", said, errors.New("it is about something else")
	}
	return body.Receipt, said, nil
}

func (def definition) ledgerKey(kid string) (ed25519.PublicKey, error) {
	for _, key := range def.Keys {
		if key.Role != "ledger" || key.ID != kid {
			continue
		}
		raw, err := base64url.DecodeString(key.PublicKey)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("the ledger's key is malformed")
		}
		return raw, nil
	}
	return nil, fmt.Errorf("the definition has no ledger %q", kid)
}

func decode(part string, into any) error {
	raw, err := base64url.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func mustRead(file string) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		end(exitUsage, "file.unreadable: %v", err)
	}
	return content
}

func main() {
	if len(os.Args) != 5 {
		end(exitUsage, "Usage: submit KEY DEFINITION URL TALLY")
	}
	tallyFile := os.Args[4]
	var key privateKey
	if json.Unmarshal(mustRead(os.Args[1]), &key) != nil {
		end(exitUsage, "key.malformed: %s is no JWK.", os.Args[1]) // the reason could quote the key
	}
	definitionBytes := mustRead(os.Args[2])
	var def definition
	if err := json.Unmarshal(definitionBytes, &def); err != nil {
		end(exitUsage, "definition.refused: %v", err)
	}
	def.hash = sha256Hex(definitionBytes)
	address, err := url.Parse(os.Args[3])
	if err != nil || address.Scheme != "https" || len(def.Door.Pins) == 0 {
		end(exitUsage, "door.insecure: give an https:// address, and a definition that pins its key.")
	}

	jws, err := signedOnce(tallyFile+".jws", mustRead(tallyFile), key, def.hash)
	if err != nil {
		end(exitUsage, "Nothing was sent: %v", err)
	}
	answer := submit(address.JoinPath("/v1/statements").String(), def.Door.Pins, jws)
	text, said, err := verify(answer, jws, def)
	if err != nil {
		end(exitSilent, "receipt.wrong: the receipt does not hold (%v). Tell the operators.", err)
	}
	if err := os.WriteFile(tallyFile+".receipt", []byte(text), 0o600); err != nil {
		end(exitUsage, "file.unwritable: %v", err)
	}
	fmt.Printf("%s: entry %d\n", said.Verdict, said.Entry.Index)
	for _, finding := range said.Findings {
		fmt.Println(strings.TrimRight("  "+finding.Code+" "+finding.Unit, " "))
	}
	if said.Verdict != "accepted" {
		os.Exit(exitRefused)
	}
}
