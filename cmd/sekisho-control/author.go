package main

import (
	"fmt"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// author is who asks on root's socket. Only root gets here, so the user id tells nothing about the person. In this order:
//
//   - with a name and a password, the administrator of that name, by the directory's word;
//   - the login that the kernel has kept for the caller's session since it began (/proc/PID/loginuid, set by PAM, and kept
//     through su and sudo); root may change it, but root may do anything on this box;
//   - otherwise nobody knows: revision.Root.
//
// What sudo writes into the environment (SUDO_USER) comes as a claim: it is recorded and shown, and permits nothing. Where a second
// person must approve, only the first way tells two persons apart, and the login is one claim more.
func (a *admin) author(r *http.Request) (revision.Author, error) {
	p, _ := socket.PeerOf(r)
	by := revision.Author{ID: revision.Root, Via: revision.Console, Request: fmt.Sprintf("%s/%d", started, p.Conn), Began: arrived(r), Claim: claimed(r), Login: login(p.PID)}
	if name, password, ok := r.BasicAuth(); ok {
		person, err := a.office.People.Prove(r.Context(), anchors.Management, name, password)
		if err != nil {
			return by, err
		}
		if person.Role != web.ITAdmin {
			return by, &revision.Denied{Act: "sign in", Why: person.ID + " is no administrator (role it-admin)"}
		}
		by.ID, by.Proven = person.ID, true
		return by, nil
	}
	if by.Login != "" {
		by.ID = by.Login
	}
	return by, nil
}

// started tells the connections of this process from those of the one before.
var started = strconv.FormatInt(time.Now().UnixNano(), 36)

const mostClaim = 64 // characters

func claimed(r *http.Request) string {
	c := strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) { // it comes to root's terminal
			return -1
		}
		return c
	}, r.URL.Query().Get("author"))
	if c == revision.Root {
		return ""
	}
	return string([]rune(c)[:min(mostClaim, len([]rune(c)))])
}

// login is the name of the kernel's login user of a process; "" when it has none, or when it is root.
func login(pid int32) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	uid := strings.TrimSpace(string(b))
	if err != nil || pid <= 0 || uid == "4294967295" || uid == "0" {
		return ""
	}
	u, err := user.LookupId(uid)
	if err != nil {
		return "uid-" + uid
	}
	return u.Username
}
