// Work only while this pod leads: go run leader.go SIDECAR STORE. Needs the standard library alone.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// What /leader says of the term that this pod leads in: the work must be over by `until`, unless the sidecar was asked
// again. Go's times count by a clock that nobody sets.
type term struct {
	token uint64
	until time.Time
}

// ask returns false if this pod does not lead, or if nobody says that it does.
func ask(sidecar string) (term, bool) {
	sent := time.Now() // before the question: the answer may come late
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get(sidecar + "/leader")
	if err != nil {
		return term{}, false
	}
	defer answer.Body.Close()
	var fields struct {
		Token           uint64
		ValidForSeconds float64
	}
	if answer.StatusCode != 200 || json.NewDecoder(answer.Body).Decode(&fields) != nil {
		return term{}, false
	}
	return term{fields.Token, sent.Add(time.Duration(fields.ValidForSeconds * float64(time.Second)))}, true
}

// work does one unit, and gives it up when the term may be over. False if it was not done, or refused.
func work(store string, t term) bool {
	limited, cancel := context.WithDeadline(context.Background(), t.until)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, "POST", store, strings.NewReader("one unit"))
	if err != nil {
		return false
	}
	// the store refuses a token that is lower than one it has seen
	request.Header.Set("Leasehold-Token", strconv.FormatUint(t.token, 10))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == 200
}

// follow calls wake whenever it is time to ask again, until the stream ends or falls silent: a heartbeat comes every 5 s.
func follow(sidecar string, wake func()) {
	const silence = 15 * time.Second
	limited, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.AfterFunc(silence, cancel)
	defer timer.Stop()
	request, err := http.NewRequestWithContext(limited, "GET", sidecar+"/events", nil)
	if err != nil {
		return
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); timer.Reset(silence) {
		if strings.HasPrefix(lines.Text(), "event:") {
			timer.Stop() // the work may take longer
			wake()
		}
	}
}

func main() {
	sidecar, store := os.Args[1], os.Args[2]
	for ; ; time.Sleep(time.Second / 2) { // the sidecar may restart
		follow(sidecar, func() {
			for t, leads := ask(sidecar); leads && work(store, t); t, leads = ask(sidecar) {
				time.Sleep(time.Second / 2)
			}
		})
	}
}
