package packet

import "fmt"

// ServiceName names a protocol with its ports as records do; for ICMP, its types.
func ServiceName(proto uint8, lo, hi uint16) string {
	names := map[uint8]string{protoICMP: "icmp", protoTCP: "tcp", protoUDP: "udp", protoICMP6: "icmp6", protoSCTP: "sctp"}
	portless := map[uint8]string{47: "gre", 50: "esp", 51: "ah"}
	name, ok := names[proto]
	switch {
	case portless[proto] != "":
		return portless[proto]
	case !ok:
		return fmt.Sprintf("protocol %d", proto)
	case lo == hi:
		return fmt.Sprintf("%s/%d", name, lo)
	}
	return fmt.Sprintf("%s/%d-%d", name, lo, hi)
}
