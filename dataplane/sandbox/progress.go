package sandbox

import (
	"context"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

type watcher struct{}

// Watch has tell called with each stage of the work that is done under the context, by any goroutine, one at a time or not. It must
// be quick: the work waits for it.
func Watch(ctx context.Context, tell func(verdict.Stage)) context.Context {
	return context.WithValue(ctx, watcher{}, tell)
}

// Tell says that the work under the context has come to a stage.
func Tell(ctx context.Context, s verdict.Stage) {
	if tell, ok := ctx.Value(watcher{}).(func(verdict.Stage)); ok {
		tell(s)
	}
}
