// Peer is a candidate that uses etcd's own election (client/v3/concurrency), driven line by line over stdin.
//
// The tests queue it with our candidates, to hold that both understand each other; the benchmark compares with it.
//
// Commands, one a line:
//
//	campaign VALUE   queue up; "elected" follows when it leads
//	proclaim VALUE   change the value of the held key
//	resign           give the key up
//	observe          report each leader from now on
//	leader           report the leader now
//
// Every answer is one line of JSON: the event, its fields, and "t", the instant in nanoseconds of CLOCK_MONOTONIC, which
// all processes of a machine share. On SIGTERM, or the end of stdin, it resigns, closes its session (which revokes the
// lease) and exits.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sys/unix"
)

type fields map[string]any

var output sync.Mutex

func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}

// report stamps the time before it waits for the lock: a busy pipe must not make the event look later.
func report(event string, more fields) {
	line := fields{"event": event, "t": monotonic()}
	for name, value := range more {
		line[name] = value
	}
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		os.Exit(1)
	}
}

func fail(err error) {
	report("error", fields{"error": err.Error()})
}

type peer struct {
	ctx      context.Context
	election *concurrency.Election
	lease    clientv3.LeaseID
}

// campaign blocks until elected, so it runs in a goroutine of its own.
func (p *peer) campaign(value string) {
	report("queued", fields{"lease": int64(p.lease)})
	if err := p.election.Campaign(p.ctx, value); err != nil {
		fail(err)
		return
	}
	report("elected", fields{"key": p.election.Key(), "revision": p.election.Rev(), "lease": int64(p.lease)})
}

func (p *peer) proclaim(value string) {
	if err := p.election.Proclaim(p.ctx, value); err != nil {
		fail(err)
		return
	}
	report("proclaimed", fields{"value": value})
}

func (p *peer) resign() {
	report("resigning", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.election.Resign(ctx); err != nil {
		fail(err)
		return
	}
	report("resigned", nil)
}

func (p *peer) leader() {
	answer, err := p.election.Leader(p.ctx)
	switch {
	case errors.Is(err, concurrency.ErrElectionNoLeader):
		report("no-leader", nil)
	case err != nil:
		fail(err)
	default:
		reportLeader(answer)
	}
}

func (p *peer) observe() {
	for answer := range p.election.Observe(p.ctx) {
		reportLeader(answer)
	}
}

func reportLeader(answer *clientv3.GetResponse) {
	kv := answer.Kvs[0]
	report("leader", fields{"key": string(kv.Key), "value": string(kv.Value), "revision": kv.CreateRevision})
}

func (p *peer) obey(line string) {
	command, value, _ := strings.Cut(line, " ")
	switch command {
	case "campaign":
		go p.campaign(value)
	case "proclaim":
		p.proclaim(value)
	case "resign":
		p.resign()
	case "observe":
		go p.observe()
	case "leader":
		p.leader()
	default:
		fail(fmt.Errorf("unknown command %q", command))
	}
}

func commands() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		input := bufio.NewScanner(os.Stdin)
		for input.Scan() {
			lines <- input.Text()
		}
	}()
	return lines
}

func run(client *clientv3.Client, prefix string, ttl int) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(ttl))
	if err != nil {
		return err
	}
	defer session.Close()
	p := &peer{ctx: stop, election: concurrency.NewElection(session, prefix), lease: session.Lease()}
	report("ready", fields{"lease": int64(p.lease)})
	lines := commands()
	for {
		select {
		case <-stop.Done():
			p.resign()
			return nil
		case <-session.Done():
			return errors.New("session lost")
		case line, open := <-lines:
			if !open {
				p.resign()
				return nil
			}
			p.obey(line)
		}
	}
}

func connect(endpoints, ca, cert, key, user string) (*clientv3.Client, error) {
	config := clientv3.Config{Endpoints: strings.Split(endpoints, ","), DialTimeout: 5 * time.Second}
	config.Username, config.Password, _ = strings.Cut(user, ":")
	if ca != "" {
		files := transport.TLSInfo{TrustedCAFile: ca, CertFile: cert, KeyFile: key}
		settings, err := files.ClientConfig()
		if err != nil {
			return nil, err
		}
		settings.MinVersion = tls.VersionTLS12
		config.TLS = settings
	}
	return clientv3.New(config)
}

func main() {
	endpoints := flag.String("endpoints", "http://127.0.0.1:2379", "comma-separated URLs of etcd")
	prefix := flag.String("prefix", "", "the election's prefix, without the last slash")
	ttl := flag.Int("ttl", 15, "the session's time to live, in seconds")
	ca := flag.String("cacert", "", "file of the certificate authority that signed etcd's certificate")
	cert := flag.String("cert", "", "file of the client's certificate")
	key := flag.String("key", "", "file of the client's key")
	user := flag.String("user", "", "user:password")
	flag.Parse()
	client, err := connect(*endpoints, *ca, *cert, *key, *user)
	if err == nil {
		defer client.Close()
		err = run(client, *prefix, *ttl)
	}
	if err != nil {
		fail(err)
		os.Exit(1)
	}
}
