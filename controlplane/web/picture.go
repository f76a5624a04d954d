package web

import "github.com/sekisho/sekisho/dataplane/anchors"

// The picture is drawn on a sheet of 1000 x 430: the three zones above, the gate across the middle, the line to the regions
// and the management zone below. Every wire goes to the gate; none goes from zone to zone.
const (
	gateTop    = 196
	gateBottom = 252
)

type picture struct {
	Zones   []area
	Regions []region
}

// area is a zone's box with its ports on the side that faces the gate.
type area struct {
	Zone       anchors.Zone
	X, Y, W, H int
	Sockets    []socket
}

// socket is a port: a light on the zone's edge and a wire to the gate.
type socket struct {
	Port
	X, Y, To int // the wire goes from (X,Y) to (X,To)
	TextY    int
}

// region is one tunnel in the box of the line.
type region struct {
	Tunnel
	Y int
}

func draw(st Status) picture {
	areas := []area{
		{Zone: anchors.MyNumber, X: 10, Y: 14, W: 313, H: 130},
		{Zone: anchors.LGWAN, X: 343, Y: 14, W: 314, H: 130},
		{Zone: anchors.Internet, X: 677, Y: 14, W: 313, H: 130},
		{Zone: anchors.Uplink, X: 10, Y: 304, W: 647, H: 112},
		{Zone: anchors.Management, X: 677, Y: 304, W: 313, H: 112},
	}
	var p picture
	for _, a := range areas {
		above := a.Y < gateTop
		var ports []Port
		for _, port := range st.Ports {
			if port.Zone == a.Zone && !tunnelled(st, port) { // tunnels are drawn as the regions they lead to
				ports = append(ports, port)
			}
		}
		for i, port := range ports {
			s := socket{Port: port, X: a.X + a.W*(2*i+1)/(2*len(ports))}
			if a.Zone == anchors.Uplink {
				s.X = a.X + 76 + 120*i // the regions take the rest of this box
			}
			if above {
				s.Y, s.To, s.TextY = a.Y+a.H, gateTop, a.Y+a.H-18
			} else {
				s.Y, s.To, s.TextY = a.Y, gateBottom, a.Y+30
			}
			a.Sockets = append(a.Sockets, s)
		}
		p.Zones = append(p.Zones, a)
	}
	for i, t := range st.Tunnels[:min(3, len(st.Tunnels))] {
		p.Regions = append(p.Regions, region{t, 330 + 28*i})
	}
	return p
}
