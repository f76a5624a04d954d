package mail

import "bytes"

// decode64 reads base64 (RFC 4648, 4) in the one way that a value has: full groups, padding at the end, no stray bits.
func decode64(s string) ([]byte, bool) {
	if len(s)%4 != 0 {
		return nil, false
	}
	out := make([]byte, 0, len(s)/4*3)
	for i := 0; i < len(s); i += 4 {
		pad, v := 0, 0
		for k := range 4 {
			c := s[i+k]
			d := 0
			switch {
			case 'A' <= c && c <= 'Z':
				d = int(c - 'A')
			case 'a' <= c && c <= 'z':
				d = int(c-'a') + 26
			case '0' <= c && c <= '9':
				d = int(c-'0') + 52
			case c == '+':
				d = 62
			case c == '/':
				d = 63
			case c == '=' && i+4 == len(s) && k >= 2:
				pad++
			default:
				return nil, false
			}
			if pad > 0 && c != '=' {
				return nil, false
			}
			v = v<<6 | d
		}
		if pad == 1 && v&0xFF != 0 || pad == 2 && v&0xFFFF != 0 {
			return nil, false
		}
		out = append(out, byte(v>>16), byte(v>>8), byte(v))[:len(out)+3-pad]
	}
	return out, true
}

// decodeLines reads base64 in lines of 76 characters, the last one shorter or as long.
func decodeLines(b []byte) ([]byte, bool) {
	const width = 76
	all := make([]byte, 0, len(b))
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok || len(line) == 0 || len(line) > width || len(rest) > 0 && len(line) != width {
			return nil, false
		}
		all, b = append(all, line...), rest
	}
	return decode64(string(all))
}
