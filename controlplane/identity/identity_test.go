package identity

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type town struct {
	*Directory
	t     *testing.T
	clock *clock
	log   *audit.Log
	first string // suzuki's one-time password
}

var suzuki = Person{ID: "suzuki", Name: "鈴木", Section: "soumu", Role: web.Staff, Zones: []anchors.Zone{anchors.LGWAN, anchors.Internet}}

func newTown(t *testing.T) *town {
	t.Helper()
	c := &clock{t: time.Unix(1_800_000_000, 0)}
	dir := t.TempDir()
	skey, vkey, err := audit.GenerateKey("test/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(filepath.Join(dir, "audit"), skey, vkey, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s, err := store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &town{Directory: New(s, audit.NewJournal(s, l), c.now, Limits{Idle: 30 * time.Minute, Absolute: 2 * time.Hour}), t: t, clock: c, log: l}
	if err := w.AddSection(context.Background(), "root", Section{"soumu", "総務課"}); err != nil {
		t.Fatal(err)
	}
	if w.first, err = w.Add(context.Background(), "root", suzuki); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) signIn(zone anchors.Zone, user, password string) (string, web.Person, string) {
	token, p, err := w.SignIn(context.Background(), zone, user, password)
	return token, p, code(err)
}

func code(err error) string {
	var r *web.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Why
	}
	return "error: " + err.Error()
}

func TestSignIn(t *testing.T) {
	w := newTown(t)
	token, p, why := w.signIn(anchors.LGWAN, "suzuki", w.first)
	if why != "" || !p.MustChange || p.Section != "総務課" {
		t.Fatalf("%s %+v", why, p)
	}
	cases := []struct {
		name, user, password string
		zone                 anchors.Zone
	}{
		{"wrong password", "suzuki", w.first + "x", anchors.LGWAN},
		{"empty password", "suzuki", "", anchors.LGWAN},
		{"nobody of that name", "sato", w.first, anchors.LGWAN},
		{"a zone that is not theirs", "suzuki", w.first, anchors.MyNumber},
	}
	for _, c := range cases {
		if tok, _, why := w.signIn(c.zone, c.user, c.password); why != web.CodeSignIn || tok != "" {
			t.Errorf("%s: %q", c.name, why)
		}
	}
	if _, err := w.Session(context.Background(), anchors.Internet, token); code(err) != web.CodeSession {
		t.Errorf("a session of another zone: %v", err)
	}
	if _, err := w.Session(context.Background(), anchors.LGWAN, "x"+token); code(err) != web.CodeSession {
		t.Errorf("an unknown token: %v", err)
	}
	rs, err := w.log.Read(0, w.log.Size())
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, r := range rs {
		actions = append(actions, r.Action)
		for _, v := range r.Detail {
			if strings.Contains(v, w.first) {
				t.Error("the log holds a password")
			}
		}
		if r.Actor == "sato" {
			t.Error("the log holds what a stranger typed as a name")
		}
	}
	if got := strings.Join(actions, " "); strings.Count(got, "session.refused") != 4 || strings.Count(got, "session.sign-in") != 1 {
		t.Errorf("log: %s", got)
	}
}

func TestOneTimePasswordIsChanged(t *testing.T) {
	ctx := context.Background()
	w := newTown(t)
	token, _, _ := w.signIn(anchors.LGWAN, "suzuki", w.first)
	other, _, _ := w.signIn(anchors.Internet, "suzuki", w.first)
	for _, c := range []struct{ old, new, want string }{
		{"wrong", "long enough 1", web.CodePasswordOld},
		{w.first, "short 7", web.CodePasswordWeak},
		{w.first, w.first, web.CodePasswordWeak},
		{w.first, "suzuki", web.CodePasswordWeak},
		{w.first, strings.Repeat("x", 1025), web.CodePasswordWeak},
	} {
		if _, err := w.ChangePassword(ctx, anchors.LGWAN, token, c.old, c.new); code(err) != c.want {
			t.Errorf("%q -> %q: got %v, want %s", c.old, c.new, err, c.want)
		}
	}
	fresh, err := w.ChangePassword(ctx, anchors.LGWAN, token, w.first, "八文字以上の合言葉")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := w.Session(ctx, anchors.LGWAN, fresh); err != nil || p.MustChange {
		t.Errorf("new session: %+v, %v", p, err)
	}
	for zone, old := range map[anchors.Zone]string{anchors.LGWAN: token, anchors.Internet: other} {
		if _, err := w.Session(ctx, zone, old); code(err) != web.CodeSession {
			t.Errorf("old session in %s: %v", zone, err)
		}
	}
	if _, _, why := w.signIn(anchors.LGWAN, "suzuki", w.first); why != web.CodeSignIn {
		t.Errorf("the one-time password again: %q", why)
	}
	if _, p, why := w.signIn(anchors.LGWAN, "suzuki", "八文字以上の合言葉"); why != "" || p.MustChange {
		t.Errorf("the new password: %q %+v", why, p)
	}
	if _, err := w.Reset(ctx, "root", "suzuki"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Session(ctx, anchors.LGWAN, fresh); code(err) != web.CodeSession {
		t.Errorf("session after a reset: %v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	ctx := context.Background()
	w := newTown(t)
	cases := []struct {
		name  string
		after func(token string)
		alive bool
	}{
		{"used all the time", func(token string) {
			for range 5 {
				w.clock.add(20 * time.Minute)
				w.Session(ctx, anchors.LGWAN, token)
			}
		}, true},
		{"idle", func(string) { w.clock.add(31 * time.Minute) }, false},
		{"beyond its absolute time, though used", func(token string) {
			for range 7 {
				w.clock.add(20 * time.Minute)
				w.Session(ctx, anchors.LGWAN, token)
			}
		}, false},
		{"signed out", func(token string) {
			if err := w.SignOut(ctx, anchors.LGWAN, token); err != nil {
				t.Error(err)
			}
		}, false},
		{"signed out in another zone", func(token string) { w.SignOut(ctx, anchors.Internet, token) }, true},
	}
	for _, c := range cases {
		token, _, why := w.signIn(anchors.LGWAN, "suzuki", w.first)
		if why != "" {
			t.Fatal(why)
		}
		c.after(token)
		if _, err := w.Session(ctx, anchors.LGWAN, token); (err == nil) != c.alive {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestGuessingIsSlow(t *testing.T) {
	w := newTown(t)
	g, at := w.gate, door{anchors.LGWAN, "suzuki"}
	for i := range freeTries {
		if !g.begin(at, w.clock.now()) {
			t.Fatalf("try %d is refused", i+1)
		}
	}
	// From here on through the front door: even the right password waits.
	if _, _, why := w.signIn(anchors.LGWAN, "suzuki", w.first); why != web.CodeThrottled {
		t.Fatalf("after %d wrong ones: %q", freeTries, why)
	}
	if _, _, why := w.signIn(anchors.Internet, "suzuki", w.first); why != "" {
		t.Fatalf("another zone is shut too: %q", why)
	}
	w.clock.add(firstWait)
	if _, _, why := w.signIn(anchors.LGWAN, "suzuki", w.first); why != "" {
		t.Fatalf("after the wait: %q", why)
	}
	if _, _, why := w.signIn(anchors.LGWAN, "suzuki", "wrong"); why != web.CodeSignIn {
		t.Fatalf("a right one opens the door again: %q", why)
	}

	t.Run("waits double", func(t *testing.T) {
		g, now := newThrottle(), w.clock.now()
		wait := time.Duration(0)
		for range freeTries + 8 {
			for !g.begin(at, now.Add(wait)) {
				wait += time.Second
			}
		}
		if wait < time.Hour {
			t.Errorf("13 tries took %s", wait)
		}
	})
	t.Run("many names in one zone", func(t *testing.T) {
		g, now := newThrottle(), w.clock.now()
		n := 0
		for i := range 1000 {
			if g.begin(door{anchors.LGWAN, strings.Repeat("x", i%64) + string(rune('a'+i%26))}, now) {
				n++
			}
		}
		if n > zoneBurst {
			t.Errorf("%d tries at once", n)
		}
		if !g.begin(door{anchors.Internet, "x"}, now) {
			t.Error("another zone is shut too")
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		g, now := newThrottle(), w.clock.now()
		for i := range 3 * maxDoors {
			now = now.Add(3 * time.Second)
			g.begin(door{anchors.LGWAN, strings.Repeat("x", i%64) + time.Duration(i).String()}, now)
		}
		if len(g.doors) > maxDoors {
			t.Errorf("%d names remembered", len(g.doors))
		}
	})
}

func TestEntriesAreChecked(t *testing.T) {
	w := newTown(t)
	change := func(f func(*Person)) Person { p := suzuki; p.ID = "sato"; f(&p); return p }
	for name, p := range map[string]Person{
		"bad id":               change(func(p *Person) { p.ID = "Sato!" }),
		"no name":              change(func(p *Person) { p.Name = "" }),
		"unknown section":      change(func(p *Person) { p.Section = "zeimu" }),
		"unknown role":         change(func(p *Person) { p.Role = "root" }),
		"no zone":              change(func(p *Person) { p.Zones = nil }),
		"staff on the console": change(func(p *Person) { p.Zones = []anchors.Zone{anchors.Management} }),
		"admin in an office":   change(func(p *Person) { p.Role = web.ITAdmin }),
		"taken":                suzuki,
	} {
		if _, err := w.Add(context.Background(), "root", p); err == nil {
			t.Errorf("%s: taken in", name)
		}
	}
	if ps, err := w.Everybody(context.Background()); err != nil || len(ps) != 1 {
		t.Errorf("%v, %v", ps, err)
	}
}

// TestDisable: who has left or changed the office is out at once, and stands in the log.
func TestDisable(t *testing.T) {
	ctx := context.Background()
	w := newTown(t)
	token, _, no := w.signIn(anchors.LGWAN, "suzuki", w.first)
	if no != "" {
		t.Fatal(no)
	}
	for range 2 { // twice is once
		if err := w.Disable(ctx, "root", "suzuki"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Session(ctx, anchors.LGWAN, token); code(err) != web.CodeSession {
		t.Errorf("a session of a disabled person: %v", err)
	}
	if _, _, no := w.signIn(anchors.LGWAN, "suzuki", w.first); no != web.CodeSignIn {
		t.Errorf("a disabled person signs in: %q", no)
	}
	fresh, err := w.Reset(ctx, "root", "suzuki")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, no := w.signIn(anchors.LGWAN, "suzuki", fresh); no != web.CodeSignIn {
		t.Errorf("a new password brings a disabled person in: %q", no)
	}
	if err := w.Enable(ctx, "root", "suzuki"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Session(ctx, anchors.LGWAN, token); code(err) != web.CodeSession {
		t.Errorf("the old session lives again: %v", err)
	}
	token, _, no = w.signIn(anchors.LGWAN, "suzuki", fresh)
	if no != "" {
		t.Errorf("enabled again: %q", no)
	}
	if err := w.AddSection(ctx, "root", Section{"zeimu", "税務課"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Change(ctx, "root", Person{ID: "suzuki", Section: "zeimu", Role: web.SectionHead}); err != nil {
		t.Fatal(err)
	}
	if p, err := w.Lookup(ctx, "suzuki"); err != nil || p.Section != "zeimu" || p.Role != web.SectionHead || len(p.Zones) != 2 || p.Name != suzuki.Name {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := w.Session(ctx, anchors.LGWAN, token); code(err) != web.CodeSession {
		t.Errorf("a session with the role of before: %v", err)
	}
	for _, p := range []Person{{ID: "suzuki", Role: web.Auditor}, {ID: "suzuki", Section: "moon"}, {ID: "nobody", Section: "zeimu"}, {ID: "suzuki", Role: "king"}} {
		if err := w.Change(ctx, "root", p); err == nil {
			t.Errorf("changed to %+v", p)
		}
	}
	if err := w.Disable(ctx, "root", "nobody"); err == nil {
		t.Error("nobody was disabled")
	}
	rs, err := w.log.Read(0, w.log.Size())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range rs {
		count[r.Action+" "+r.Detail["why"]]++
	}
	if count["person.disable "] != 1 || count["person.enable "] != 1 || count["person.change "] != 1 || count["session.refused disabled"] != 2 {
		t.Errorf("log: %v", count)
	}
}
