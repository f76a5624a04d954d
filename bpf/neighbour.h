/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 3: neighbour. ARP and neighbour discovery reach the gate's stack only from stations whose MAC and address belong
 * together, and only when they ask for the gate's own address in that segment or answer the gate. So the neighbour table,
 * and with it the next hops of all forwarding, can only hold what is registered.
 */
#ifndef SEKISHO_NEIGHBOUR_H
#define SEKISHO_NEIGHBOUR_H

#include "parse.h"
#include "station.h"

#define ND_OPTIONS 4 /* more than the gate has any use for */

struct nd_message {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 flags;
	union addr target;
};

INLINE int is_nd(const struct packet *p)
{
	return p->family == FAMILY_IP6 && p->proto == PROTO_ICMP6 && p->type >= ND_FIRST && p->type <= ND_LAST;
}

INLINE int is_link_local(const union addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* Is this one of the gate's own addresses in the segment? */
INLINE int is_gate(const struct tables *t, __u32 segment, const union addr *a, __u8 family)
{
	struct binding *b = locate(t, a, family);
	struct address_class *c;

	if (!b || b->segment != segment)
		return 0;
	c = class_of(t, b->class);
	return c && c->kind == KIND_LOCAL;
}

/* May this MAC speak for this address? A link-local address is not registered: in a strict segment its MAC must be. */
INLINE int speaks_for(const struct tables *t, const struct ingress *in, const union addr *a, __u8 family,
		      const __u8 *mac)
{
	struct station_key key = {.segment = in->number};
	void *table;

	if (family == FAMILY_IP6 && is_link_local(a)) {
		if (!in->segment->strict)
			return 1;
		__builtin_memcpy(key.mac, mac, MAC_LEN);
		table = bpf_map_lookup_elem(&stations, &t->slot);
		return table && bpf_map_lookup_elem(table, &key);
	}
	if (special_addr(a, family) || is_gate(t, in->number, a, family))
		return 0;
	return bound(in, locate(t, a, family), mac) == PASS;
}

INLINE int neighbour_arp(const struct tables *t, const struct ingress *in, const struct packet *p)
{
	if (!p->arp_mac_ok || !speaks_for(t, in, &p->src, FAMILY_IP4, p->smac))
		return DROP_NEIGHBOUR_BINDING;
	if (same_addr(&p->src, &p->dst))
		return DROP_NEIGHBOUR_GRATUITOUS;
	if (!is_gate(t, in->number, &p->dst, FAMILY_IP4))
		return DROP_NEIGHBOUR_FOREIGN;
	return PASS;
}

/* c stands behind the ICMP header's eight bytes. */
INLINE int neighbour_nd(const struct tables *t, const struct ingress *in, struct cursor *c, const struct packet *p)
{
	union addr *at, target;
	int i;

	if (p->type != ND_NS && p->type != ND_NA)
		return DROP_NEIGHBOUR_REFUSED;
	at = take(c, sizeof(*at));
	if (!at || p->code || p->ttl != 255)
		return DROP_NEIGHBOUR_MALFORMED;
	target = *at;
	for (i = 0; i < ND_OPTIONS && c->left; i++) {
		__u8 *option = take(c, 8);
		__u32 more;

		if (!option || !option[1] || option[1] * 8 - 8 > c->left)
			return DROP_NEIGHBOUR_MALFORMED;
		/* 1 and 2: source and target link-layer address */
		if ((option[0] == 1 || option[0] == 2) && (option[1] != 1 || !same_mac(option + 2, p->smac)))
			return DROP_NEIGHBOUR_BINDING;
		more = option[1] * 8 - 8;
		c->pos += more;
		c->left -= more;
	}
	if (c->left)
		return DROP_NEIGHBOUR_MALFORMED;
	if (!speaks_for(t, in, &p->src, FAMILY_IP6, p->smac))
		return DROP_NEIGHBOUR_BINDING;
	if (p->type == ND_NS)
		return is_gate(t, in->number, &target, FAMILY_IP6) ? PASS : DROP_NEIGHBOUR_FOREIGN;
	if (p->dst.b[0] == 0xff)
		return DROP_NEIGHBOUR_GRATUITOUS;
	if (!is_link_local(&p->dst) && !is_gate(t, in->number, &p->dst, FAMILY_IP6))
		return DROP_NEIGHBOUR_FOREIGN;
	return speaks_for(t, in, &target, FAMILY_IP6, p->smac) ? PASS : DROP_NEIGHBOUR_BINDING;
}

#endif
