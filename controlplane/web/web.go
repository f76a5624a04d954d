// Package web is what people see: the staff portal of each zone and the console of the management zone.
package web

import (
	"log/slog"
	"net/http"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Options of one zone's pages.
type Options struct {
	Log  *slog.Logger
	Town Name // shown in the head of each page
}

// New gives the pages of one zone. The caller serves it on that zone's socket.
func New(zone anchors.Zone, s Services, o Options) http.Handler { return http.NotFoundHandler() }
