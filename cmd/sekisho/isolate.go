package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// controlTime is how long a cut waits for control before the dataplane is asked past it: a zone is to be cut off within a second.
const controlTime = 400 * time.Millisecond

// runIsolate cuts a zone off (遮断).
func runIsolate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("isolate", stderr)
	o := emergency.Order{Act: isolation.Begin, Request: isolation.Request{By: operator()}}
	flags.StringVar(&o.Reason, "reason", "", "why, for the audit log and the console")
	flags.Func("for", "give it back by itself after so `long`, such as 2h", func(s string) error {
		d, err := time.ParseDuration(s)
		if err == nil && d <= 0 {
			err = errors.New("want a time to come")
		}
		o.Until = time.Now().Add(d)
		return err
	})
	flags.Func("until", "give it back by itself at a `moment`, YYYY-MM-DD or \"YYYY-MM-DD hh:mm\" in Japan's time", func(s string) error {
		var m config.Moment
		err := m.UnmarshalText([]byte(s))
		o.Until = time.Unix(60*m.Begin(), 0)
		return err
	})
	if !zoneArgument(flags, args, &o) {
		fmt.Fprintln(stderr, "usage: sekisho isolate my-number|lgwan|internet|uplink --name N --reason TEXT [--for 2h | --until TIME]")
		return exitUsage
	}
	i := place.Instance(*name)
	quick, cancel := context.WithTimeout(ctx, controlTime)
	err := orderControl(quick, i, o)
	cancel()
	var no *refused
	if err != nil && !(errors.As(err, &no) && no.Code < http.StatusInternalServerError) {
		fmt.Fprintln(stderr, "sekisho isolate: control does not do it, asking the dataplane itself; control records it when it is back:", err)
		err = orderDataplane(ctx, i, o)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho isolate:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s is cut off", o.Zone)
	if !o.Until.IsZero() {
		fmt.Fprintf(stdout, "; planned way back: %s", o.Until.Local().Format(time.DateTime))
	}
	fmt.Fprintf(stdout, "\ngive it back with: sekisho rejoin %s --name %s --reason TEXT\n", o.Zone, i)
	return exitOK
}

// runRejoin gives a zone back.
func runRejoin(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("rejoin", stderr)
	o := emergency.Order{Act: isolation.End, Request: isolation.Request{By: operator()}}
	flags.StringVar(&o.Reason, "reason", "", "why, for the audit log")
	dry := flags.Bool("dry-run", false, "only list the records that would permit again")
	if !zoneArgument(flags, args, &o) {
		fmt.Fprintln(stderr, "usage: sekisho rejoin my-number|lgwan|internet|uplink --name N --reason TEXT [--dry-run]")
		return exitUsage
	}
	i := place.Instance(*name)
	// The tables in force say what comes back, whatever control says.
	var records []string
	err := dataplaneOf(*name).get(ctx, "/isolation/records", url.Values{"zone": {o.Zone.String()}}, &records)
	if err != nil {
		fmt.Fprintln(stderr, "sekisho rejoin:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%d records permit again, and nothing else:\n", len(records))
	for _, id := range records {
		fmt.Fprintln(stdout, " ", id)
	}
	if *dry {
		return exitOK
	}
	var s gate.Isolation
	if err := dataplaneOf(*name).get(ctx, "/isolation", nil, &s); err != nil {
		fmt.Fprintln(stderr, "sekisho rejoin:", err)
		return exitFailed
	}
	var no *refused
	if c, _ := s.Of(o.Zone); c.Via == isolation.ViaRoot { // control may not
		err = orderDataplane(ctx, i, o)
	} else if err = orderControl(ctx, i, o); err != nil && !errors.As(err, &no) {
		fmt.Fprintln(stderr, "sekisho rejoin: control does not answer, asking the dataplane itself; control records it when it is back:", err)
		err = orderDataplane(ctx, i, o)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho rejoin:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s is given back\n", o.Zone)
	return exitOK
}

// zoneArgument reads flags around the one zone.
func zoneArgument(flags *flag.FlagSet, args []string, o *emergency.Order) bool {
	rest, err := interspersed(flags, args)
	if err != nil || len(rest) != 1 || o.Reason == "" || flags.Lookup("name").Value.String() == "" {
		return false
	}
	o.Zone, err = anchors.ParseZone(rest[0])
	if err != nil {
		fmt.Fprintln(flags.Output(), err)
	}
	return err == nil
}

func orderControl(ctx context.Context, i place.Instance, o emergency.Order) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return control{i}.call(ctx, http.MethodPost, "/isolation?"+url.Values{"author": {o.By}}.Encode(), b, nil)
}

// orderDataplane asks as root, past control.
func orderDataplane(ctx context.Context, i place.Instance, o gate.Order) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gate/isolation", bytes.NewReader(b))
	if err != nil {
		return err
	}
	client := socket.Client(i.DataplaneSocket())
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the dataplane: %w; does sekisho-dataplane run, and are you root?", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var no struct{ Error string }
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || json.Unmarshal(text, &no) != nil || no.Error == "" {
		no.Error = resp.Status
	}
	return fmt.Errorf("the dataplane says: %s", no.Error)
}
