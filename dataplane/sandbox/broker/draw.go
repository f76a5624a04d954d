package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/likeness"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// serveDrawing has the first pages of a file drawn. The answer says that they lie with release; control gets none.
func (b *Broker) serveDrawing(w http.ResponseWriter, r *http.Request) {
	o, ok := order(w, r)
	if !ok {
		return
	}
	if err := b.Draw(r.Context(), o); err != nil {
		b.refuse(w, o, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Draw has the first pages of a sanitized file drawn, as they were and as they are, and leaves the pictures with release, for the
// approver's portal. It is done when somebody wants to look: drawing costs more than sanitizing, and most files are looked at by name.
// What was drawn already is not drawn again. That a side cannot be drawn is an answer, too.
func (b *Broker) Draw(ctx context.Context, o Order) error {
	if done, err := b.drawn(ctx, o); done || err != nil {
		return err
	}
	select {
	case b.drawing <- struct{}{}:
		defer func() { <-b.drawing }()
	case <-ctx.Done():
		return fmt.Errorf("wait to draw %s: %w", o.Transfer, ctx.Err())
	}
	if done, err := b.drawn(ctx, o); done || err != nil { // while this one waited
		return err
	}
	began := time.Now()
	file, body, err := b.fetch(ctx, o)
	if err != nil {
		return err
	}
	name, sanitized, err := b.sanitized(ctx, o)
	if err != nil {
		return err
	}
	p := verdict.Pages{Version: 1}
	var before, after []image.Image
	if sandbox.HasPages(name) {
		after = b.side(ctx, &p.After, name, sanitized)
		before = b.side(ctx, &p.Before, file.Name, body)
	} else {
		p.Before.Failed, p.After.Failed = "draw.kind", "draw.kind"
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("draw %s: %w", o.Transfer, err)
	}
	for i := range min(len(before), len(after)) {
		p.Compared = append(p.Compared, compared(before[i], after[i]))
	}
	b.Log.Info("drawn", "transfer", o.Transfer, "before", len(before), "after", len(after), "took", time.Since(began))
	if err := b.Files.StorePages(ctx, o.Transfer, sandbox.Digest(sanitized).SHA256, p); err != nil {
		return fmt.Errorf("store the pages of %s: %w", o.Transfer, err)
	}
	return nil
}

func (b *Broker) drawn(ctx context.Context, o Order) (bool, error) {
	_, err := b.Files.Pages(ctx, o.Transfer)
	var no *release.Refusal
	if errors.As(err, &no) && no.Code == release.CodeNotShown {
		return false, nil
	}
	return err == nil, err
}

// maxSanitized bounds what is read of a rebuilt file, in bytes; a route admits less.
const maxSanitized = sandbox.DefaultMaxOut

func (b *Broker) sanitized(ctx context.Context, o Order) (name string, body []byte, err error) {
	f, err := b.Files.Sanitized(ctx, o.Transfer)
	if err != nil {
		return "", nil, fmt.Errorf("fetch the rebuilt %s: %w", o.Transfer, err)
	}
	defer f.Body.Close()
	_, params, err := mime.ParseMediaType(f.Disposition)
	if err != nil {
		return "", nil, fmt.Errorf("fetch the rebuilt %s: its name: %w", o.Transfer, err)
	}
	body, err = io.ReadAll(io.LimitReader(f.Body, maxSanitized+1))
	if err == nil && sandbox.Digest(body).SHA256 != f.SHA256 {
		err = errors.New("the bytes are not those that release describes")
	}
	if err != nil {
		return "", nil, fmt.Errorf("fetch the rebuilt %s: %w", o.Transfer, err)
	}
	return params["filename"], body, nil
}

// sideTime bounds one side, well within what control waits for both: that it took too long is kept as an answer, and not tried again.
const sideTime = 4 * time.Minute

// side draws one side. Each side has half of the bytes that pages may have; pages that do not fit are more pages.
func (b *Broker) side(ctx context.Context, d *verdict.Drawing, name string, body []byte) []image.Image {
	ctx, cancel := context.WithTimeout(ctx, sideTime)
	defer cancel()
	frames, err := b.Worker.Draw(ctx, name, body, verdict.MaxPages)
	if err != nil {
		f := &sandbox.Failure{Kind: sandbox.Crash}
		if errors.As(err, &f); ctx.Err() != nil {
			f = &sandbox.Failure{Kind: sandbox.Time}
		}
		d.Failed = string(f.Kind)
		return nil
	}
	if d.More = len(frames) > verdict.MaxPages; d.More {
		frames = frames[:verdict.MaxPages]
	}
	var images []image.Image
	room := verdict.MaxPageBytes / 2
	for _, f := range frames {
		m := picture(f)
		var out bytes.Buffer
		if err := png.Encode(&out, m); err != nil || out.Len() > room {
			d.More = true
			break
		}
		room -= out.Len()
		d.Pages = append(d.Pages, verdict.Sheet{Width: f.Width, Height: f.Height, PNG: out.Bytes()})
		images = append(images, m)
	}
	return images
}

// picture is grey where all of it is, which is a third of the bytes; transparent parts have no place on a page.
func picture(f pam.Frame) image.Image {
	r := image.Rect(0, 0, f.Width, f.Height)
	grey, m := image.NewGray(r), image.NewNRGBA(r)
	isGrey := true
	for i := range f.Width * f.Height {
		p := f.Pix[i*f.Depth:][:f.Depth]
		red, green, blue := p[0], p[0], p[0]
		if f.Depth >= 3 {
			green, blue = p[1], p[2]
		}
		isGrey = isGrey && red == green && green == blue
		grey.Pix[i] = red
		copy(m.Pix[4*i:], []byte{red, green, blue, 255})
	}
	if isGrey {
		return grey
	}
	return m
}

func compared(before, after image.Image) verdict.Comparison {
	same, where := likeness.Differences(before, after)
	c := verdict.Comparison{Same: same}
	for _, r := range slices.Clip(where) {
		c.Marks = append(c.Marks, [4]int{r.Min.X, r.Min.Y, r.Dx(), r.Dy()})
	}
	return c
}
