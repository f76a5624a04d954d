/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 4: station. The source address must belong to the ingress segment; a registered MAC must be the frame's; in a
 * strict segment there must be a registered MAC (the station's own, or that of the router it lies behind).
 */
#ifndef SEKISHO_STATION_H
#define SEKISHO_STATION_H

#include "segment.h"

/* 0/8, 127/8, 169.254/16, 224/3; ::, ::1, IPv4-mapped, fe80::/10, ff00::/8: never forwarded. */
INLINE int special_addr(const union addr *a, __u8 family)
{
	if (family == FAMILY_IP4) {
		return a->b[12] == 0 || a->b[12] == 127 || a->b[12] >= 224 || (a->b[12] == 169 && a->b[13] == 254);
	}
	if (a->b[0] == 0xff || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80))
		return 1;
	if (a->w[0] | a->w[1])
		return 0;
	return a->w[2] == bpf_htonl(0xffff) || (a->w[2] == 0 && (a->w[3] == 0 || a->w[3] == bpf_htonl(1)));
}

/* Address and MAC belong together in this segment. */
INLINE int bound(const struct ingress *in, const struct binding *b, const __u8 *mac)
{
	if (!b || b->segment != in->number)
		return DROP_SOURCE_NOT_IN_SEGMENT;
	if (in->segment->tunnel)
		return PASS; /* WireGuard binds a source to its peer */
	if (no_mac(b->mac))
		return in->segment->strict ? DROP_STATION_UNREGISTERED : PASS;
	return same_mac(b->mac, mac) ? PASS : DROP_STATION_MAC_MISMATCH;
}

INLINE int is_dhcp(const struct packet *p)
{
	if (p->proto != PROTO_UDP)
		return 0;
	if (p->family == FAMILY_IP4)
		return p->dport == 67 || p->dport == 68;
	return p->dport == 546 || p->dport == 547;
}

#define BOOTREQUEST 1 /* RFC 2131 */
/* Solicit, request, confirm, renew, rebind, release, decline, information-request, relay-forward (RFC 8415, 7.3). */
#define DHCP6_OF_CLIENTS (1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12)

/* Servers answer only from where the anchors expect one; what is not plainly a client's counts as a server's. What clients
 * shout into their segment is not for the gate, which leases nothing. The rest (a relay's requests, and the answers) is UDP
 * like any other. c stands behind the UDP header. */
INLINE int dhcp(const struct ingress *in, struct cursor *c, const struct packet *p)
{
	__u8 *kind;
	int client;

	if (!is_dhcp(p))
		return PASS;
	kind = take(c, 1);
	if (!kind)
		return DROP_DHCP_REFUSED;
	if (p->family == FAMILY_IP4)
		client = *kind == BOOTREQUEST;
	else
		client = *kind < 32 && DHCP6_OF_CLIENTS >> *kind & 1;
	if (!client)
		return in->segment->dhcp_servers ? PASS : DROP_DHCP_SERVER;
	if (p->dmac[0] & 1 || special_addr(&p->src, p->family) || special_addr(&p->dst, p->family))
		return DROP_DHCP_REFUSED;
	return PASS;
}

/* A frame to the gate's own MAC, or why not. */
INLINE int addressed(const struct ingress *in, const struct packet *p)
{
	return same_mac(p->dmac, in->port->mac) ? PASS : DROP_L2_NOT_GATE;
}

/* Checks the source and gives its class. */
INLINE int station(const struct tables *t, const struct ingress *in, const struct packet *p, __u32 *class)
{
	struct binding *b = locate(t, &p->src, p->family);
	struct address_class *c;
	int reason = bound(in, b, p->smac);

	if (reason)
		return reason;
	*class = b->class;
	c = class_of(t, b->class);
	return c && c->kind == KIND_LOCAL ? DROP_SOURCE_IS_GATE : PASS;
}

#endif
