package portal

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What may come through of an answer of control. A list of what is let through, so that nothing is forgotten: a header that
// loosens a policy, reports elsewhere or registers a worker does not have to be known here.
var (
	mayAnswer = []string{"Allow", "Content-Length", "Content-Type", "Date", "Hx-Redirect", "Location", "Retry-After", "Set-Cookie", "Vary"}
	// No kind that a browser runs or takes for a style sheet: with nosniff, those are the portal's own files or none.
	mayBe = []string{"application/json", "application/openmetrics-text", "image/png", "text/html", "text/plain"}
	// Where an answer may lead to.
	leads = []string{"Location", "Hx-Redirect"}
)

// tame makes of an answer of control one that a control which was taken over may give.
func tame(resp *http.Response) error {
	path := resp.Request.URL.Path
	if resp.StatusCode < 200 {
		return fmt.Errorf("control answers %s to %s", resp.Status, path)
	}
	for name := range resp.Header {
		if !slices.Contains(mayAnswer, http.CanonicalHeaderKey(name)) {
			delete(resp.Header, name)
		}
	}
	resp.Trailer = nil
	kinds := resp.Header.Values("Content-Type")
	switch {
	case len(kinds) > 1:
		return fmt.Errorf("control names %d kinds of content for %s", len(kinds), path)
	case len(kinds) == 1:
		kind, _, err := mime.ParseMediaType(kinds[0])
		if err != nil || !slices.Contains(mayBe, kind) {
			return fmt.Errorf("control answers %q to %s: no kind of content that pages are made of", kinds[0], path)
		}
	default:
		resp.Header.Set("Content-Type", "text/plain; charset=utf-8") // never what a browser guesses
	}
	for _, name := range leads {
		for _, to := range resp.Header.Values(name) {
			u, err := url.Parse(to)
			if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\t\r\n") {
				return fmt.Errorf("control leads from %s to %q, outside this portal", path, to)
			}
		}
	}
	return nil
}

// finalOnly keeps control's interim answers (1xx) to itself: ReverseProxy would hand their headers on past tame, and forget
// those that harden has set.
type finalOnly struct{ http.RoundTripper }

func (f finalOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.RoundTripper.RoundTrip(r.WithContext(bare{r.Context()}))
}

// bare is a context without values, among them ReverseProxy's trace.
type bare struct{ context.Context }

func (bare) Value(any) any { return nil }
