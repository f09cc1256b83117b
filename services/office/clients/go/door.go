package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	patience   = 2 * time.Minute
	answerTime = 15 * time.Second
)

// wrongDoor is a key that the definition does not name.
type wrongDoor struct{ pin string }

func (w wrongDoor) Error() string { return "the door shows the key " + w.pin }

// pinnedClient speaks TLS 1.3 to whoever holds a pinned key; nothing is sent to anybody else.
func pinnedClient(pins []string) *http.Client {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the pin decides, and no authority of the web
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if pin := base64url.EncodeToString(sum[:]); !slices.Contains(pins, pin) {
				return wrongDoor{pin}
			}
			return nil
		},
	}
	return &http.Client{
		Timeout:   answerTime,
		Transport: &http.Transport{TLSClientConfig: config, TLSHandshakeTimeout: answerTime},
		// What was signed for this door goes to no other address.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type answer struct {
	status     int
	retryAfter time.Duration
	body       []byte
}

func post(client *http.Client, address string, jws []byte) (answer, error) {
	response, err := client.Post(address, "application/jose", bytes.NewReader(jws))
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	after, malformed := strconv.Atoi(response.Header.Get("Retry-After"))
	if malformed != nil {
		after = 1
	}
	return answer{response.StatusCode, time.Duration(after) * time.Second, body}, err
}

// submit sends the same bytes until an answer stands: a receipt, or a refusal that sending again will not change.
func submit(address string, pins []string, jws []byte) []byte {
	client := pinnedClient(pins)
	deadline := time.Now().Add(patience)
	for {
		got, err := post(client, address, jws)
		var wrong wrongDoor
		if errors.As(err, &wrong) {
			end(exitRefused, "door.wrong: %v, which is no pin of the definition. Nothing was sent.", wrong)
		}
		if err != nil {
			got = answer{0, time.Second, []byte(err.Error())}
		}
		switch status := got.status; {
		case status == 200 || status == 201:
			return got.body
		case status >= 300 && status < 500 && status != 408 && status != 429:
			end(exitRefused, "%s", refusal(got))
		}
		if time.Now().After(deadline) {
			end(exitSilent, "door.silent: no receipt (%d %s). Run the same command again.", got.status, got.body)
		}
		// Offices that were told the same do not come back together.
		time.Sleep(time.Duration(float64(got.retryAfter) * (1 + rand.Float64()/2)))
	}
}

func refusal(got answer) string {
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(got.body, &problem) != nil || problem.Code == "" {
		return fmt.Sprintf("door.refused: status %d", got.status)
	}
	return problem.Code + ": " + problem.Detail
}
