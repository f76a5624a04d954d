package picture_test

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/jpeg"
	"os/exec"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// heic is quarters as libheif's heif-enc writes it; no encoder of that kind is installed for tests.
const heic = "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAUJtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAABAAAAImlsb2MAAAAAREAAAQABAAAAAAFmAA" +
	"EAAAAAAAAAOAAAACNpaW5mAAAAAAABAAAAFWluZmUCAAAAAAEAAGh2YzEAAAAAwmlwcnAAAACkaXBjbwAAAHhodmNDAQNwAAAAAAAAAAAAHvAA/P34+AAADwMgAAEAGEABDAH//wNwAAADAJAAAAMA" +
	"AAMAHroCQCEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgQEDAgAAAMACAAAAwAIQCIAAQAHRAHBcrAiQAAAABRpc3BlAAAAAAAAAEAAAABAAAAAEHBpeGkAAAAAAwgICAAAABZpcG1hAA" +
	"AAAAAAAAEAAQOBAoMAAABAbWRhdAAAADQoAa9Y+Q6SX//xnr//YlJD5rdokt804D/WyJ/52cuX/8pzMfQDG/6E3934fv6S33cRXQMV"

// quarters is a picture of four colors, of 64 x 64 pixels.
func quarters() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for y := range 64 {
		for x := range 64 {
			img.SetNRGBA(x, y, [4]color.NRGBA{{220, 30, 30, 255}, {30, 200, 30, 255}, {30, 30, 220, 255}, {240, 240, 240, 255}}[x/32+y/32*2])
		}
	}
	return img
}

// arithmetic is quarters as a JPEG whose coefficients are coded arithmetically, which jpegtran does.
func arithmetic(t *testing.T) []byte {
	t.Helper()
	var in, out, said bytes.Buffer
	if err := jpeg.Encode(&in, quarters(), &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("jpegtran", "-arithmetic")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("jpegtran: %v: %s: is it there? hack/bootstrap installs it", err, said.Bytes())
	}
	return out.Bytes()
}

// TestWhatOnlyHelpersRead goes all the way with the programs that the broker starts: what Go does not decode becomes a JPEG that shows
// the same and passes the verifier.
func TestWhatOnlyHelpersRead(t *testing.T) {
	photo, err := base64.StdEncoding.DecodeString(heic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, out string
		in        []byte
		family    string
	}{
		{"a.jpg", "a.jpg", arithmetic(t), "jpeg"},
		{"写真.HEIC", "写真.jpg", photo, "jpeg"},
	} {
		if _, _, err := image.Decode(bytes.NewReader(c.in)); err == nil {
			t.Errorf("%s: Go reads it: no helper is asked", c.name)
		}
		var out bytes.Buffer
		rep, _ := rebuilt(c.name, c.in, &out)
		if rep.Outcome != verdict.Clean || rep.OutName != c.out || rep.Family != c.family {
			t.Errorf("%s: got %s, %s, %s, %v", c.name, rep.Outcome, rep.OutName, rep.Family, rep.Findings)
			continue
		}
		if v := verify.Check(t.Context(), rep.OutName, out.Bytes()); v.Outcome != verdict.Clean {
			t.Errorf("%s: the verifier says %v", c.name, v.Findings)
		}
		img, err := jpeg.Decode(&out)
		if err != nil || img.Bounds().Dx() != 64 || img.Bounds().Dy() != 64 {
			t.Fatalf("%s: %v, %v", c.name, err, img)
		}
		for _, p := range []image.Point{{16, 16}, {48, 16}, {16, 48}, {48, 48}} {
			want, got := quarters().NRGBAAt(p.X, p.Y), color.NRGBAModel.Convert(img.At(p.X, p.Y)).(color.NRGBA)
			for _, d := range []int{int(want.R) - int(got.R), int(want.G) - int(got.G), int(want.B) - int(got.B)} {
				if max(d, -d) > 30 {
					t.Errorf("%s: at %v got %v, want %v", c.name, p, got, want)
				}
			}
		}
	}
}
