package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/controlplane/monitor"
	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/office"
	"github.com/sekisho/sekisho/controlplane/policy/difference"
	"github.com/sekisho/sekisho/controlplane/transfer"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/socket"
)

const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	stopTime   = 20 * time.Second // for requests under way
	watchEvery = 2 * time.Second  // what is in force, against the head
)

// serve runs until ctx ends or a listener fails.
func serve(ctx context.Context, i place.Instance, log *slog.Logger) (err error) {
	o, err := office.Open(ctx, i, revision.At(i.DataplaneSocket()), time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.Replayed > 0 {
		log.Info("recorded events that the last stop had kept back", "events", o.Replayed)
	}
	if err := o.Book.Load(ctx); err != nil {
		// The rest goes on without it: the dataplane keeps what it has, and a new commit mends it.
		log.Error("the head revision cannot be used; commit one that can", "error", err)
	}
	kept := openEvidence(filepath.Join(i.StateOf("control"), "evidence"), log)
	defer func() {
		if kept != nil {
			err = errors.Join(err, kept.Close())
		}
	}() // after work, which writes to it, has ended
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopWork()

	eye := monitor.New(monitor.Options{
		Dataplane: i.DataplaneSocket(),
		Daemons:   map[string]string{"dataplane": i.DataplaneSocket(), "broker": i.BrokerSocket(), "release": i.ReleaseSocket()},
		Head:      o.Book.Head,
		Antivirus: broker.NewClient(i.BrokerSocket()).Antivirus,
		AuditSize: func() (int64, time.Time) { return o.Log.Size(), o.Log.Last().Time },
		Store:     o.Store,
		Evidence:  kept,
		Log:       log,
		Now:       time.Now,
	})
	desk := transfer.New(transfer.Options{
		Store: o.Store, Journal: o.Journal, People: o.People,
		Release: release.NewClient(i.ReleaseSocket()), Broker: broker.NewClient(i.BrokerSocket()),
		Sheets: filepath.Join(i.StateOf("control"), "sheets"),
		Routes: i.Routes(), ReleaseKey: i.ReleaseKey(), VerifierKey: i.VerifierKey(),
		Now: time.Now, Log: log,
	})

	alarm := emergency.New(emergency.Options{Dataplane: i.DataplaneSocket(), Store: o.Store, Journal: o.Journal, Log: log})

	failed := make(chan error, len(place.PortalZones)+2)
	var servers []*http.Server
	listen := func(path string, h http.Handler) error {
		l, err := socket.Listen(path)
		if err != nil {
			return err
		}
		s := socket.Server(h)
		s.ReadHeaderTimeout, s.IdleTimeout = headerTime, idleTime
		servers = append(servers, s)
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", path, err)
			}
		}()
		return nil
	}
	defer func() {
		// The listeners close at once; what is under way has stopTime.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		for _, s := range servers {
			err = errors.Join(err, s.Shutdown(end))
		}
	}()
	auditor := &auditor{log: o.Log, journal: o.Journal, desk: desk, dir: i.AuditLog(), key: i.AuditKey(), now: time.Now}
	for _, z := range place.PortalZones {
		services := web.Services{People: o.People, Transfers: desk}
		opts := web.Options{Log: log, Gate: string(i), Town: func() web.Name {
			if h := o.Book.Head(); h != nil {
				return web.Name{JA: h.Config.Town.JA, EN: h.Config.Town.EN}
			}
			return web.Name{}
		}}
		if z == anchors.Management {
			services.Monitor, services.Audit = eye, auditor
			services.Emergency, services.Book, services.Usage = siren{alarm, eye, o.Book}, o.Book, eye.Usage
			services.Differ = differ
			services.Evidence = eye.Evidence()
			services.Faults = scout{i.DataplaneSocket(), func() *config.Config {
				if h := o.Book.Head(); h != nil {
					return h.Config
				}
				return nil
			}}
			services.Stones = func() ([]stones.Stone, error) {
				h := o.Book.Head()
				a, err := anchors.Load(i.Anchors())
				if h == nil || err != nil {
					return nil, err
				}
				return stones.Find(&h.Generation.Tables, a), nil
			}
		}
		h := web.New(z, services, opts)
		if z == anchors.Management {
			h = withMetrics(h, eye.Metrics())
		}
		if err := listen(i.ControlSocket(z), only(place.PortalUser(z), h)); err != nil {
			return err
		}
	}

	wg.Go(func() { eye.Run(work) })
	wg.Go(func() {
		if err := desk.Run(work); err != nil && work.Err() == nil {
			failed <- err
		}
	})
	wg.Go(func() { keepInForce(work, o.Book, log) })
	wg.Go(func() { alarm.Run(work) })
	anchored := &anchorsWatch{dataplane: i.DataplaneSocket(), store: o.Store, journal: o.Journal, log: log, now: time.Now}
	wg.Go(func() { anchored.run(work) })

	// Last, because who waits for control waits for this socket.
	if err := listen(i.AdminSocket(), socket.Admit((&admin{office: o, eye: eye, alarm: alarm}).handler(eye.Metrics()))); err != nil {
		return err
	}
	log.Info("serving", "admin", i.AdminSocket())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		log.Info("stopping")
		return nil
	}
}

// openEvidence opens the evidence. Without it the rest goes on, for nobody must be kept from the gate by a bad disk: nil.
func openEvidence(dir string, log *slog.Logger) *evidence.Store {
	kept, err := evidence.Open(dir, log)
	if err != nil {
		log.Error("evidence of what lines were given is NOT kept until control is started again; mend the disk or the folder", "folder", dir, "error", err)
		return nil
	}
	return kept
}

// differ tells people what packets two configurations treat differently.
func differ(older, newer *config.Config, lang string) (string, error) {
	var b strings.Builder
	err := difference.Of(older, newer).Print(&b, lang)
	return b.String(), err
}

// only admits one user, and not even root: a portal's socket has exactly one caller.
func only(user string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := socket.PeerOf(r); !ok || !p.Is(user) {
			http.Error(w, "this socket is for "+user, http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// withMetrics puts /metrics beside the console: whoever may reach the management zone's portal may read numbers.
func withMetrics(pages, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("/", pages)
	return mux
}

// keepInForce hands the head to the dataplane whenever that has another policy in force, patiently: it may not be up yet.
func keepInForce(ctx context.Context, b *revision.Book, log *slog.Logger) {
	wait := watchEvery
	for {
		done, err := b.Restore(ctx)
		var down *net.OpError
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &down):
			wait = watchEvery // not there; look again soon
		case err != nil:
			wait = min(2*wait, time.Minute)
			log.Error("the dataplane does not take the head revision", "error", err, "again_in", wait)
		default:
			wait = watchEvery
			if done {
				log.Info("handed the head revision to the dataplane")
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
