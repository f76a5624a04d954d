/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 3: neighbour. ARP and neighbour discovery reach the gate's stack only from stations whose MAC and address belong
 * together, and only when they ask for the gate's own address in that segment or answer the gate. So the neighbour table,
 * and with it the next hops of all forwarding, can only hold what is registered.
 *
 * Whoever claims one of the gate's own addresses, asks around whether it is free (RFC 5227, RFC 4862) or announces it, is told
 * of under a reason of its own. Router advertisements (RFC 4861, 6.1.2) pass where the anchors expect a router, from a
 * registered MAC; redirects and solicitations of routers never.
 */
#ifndef SEKISHO_NEIGHBOUR_H
#define SEKISHO_NEIGHBOUR_H

#include "parse.h"
#include "station.h"

#define ND_OPTIONS 4 /* more than the gate has any use for */
#define RA_OPTIONS 8

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

/* The port's own link-local address, as the kernel makes it from the MAC (RFC 4291, appendix A). */
INLINE int is_gate_link_local(const struct ingress *in, const union addr *a)
{
	const __u8 *mac = in->port->mac;

	return a->w[0] == bpf_htonl(0xfe800000) && !a->w[1] && a->b[8] == (mac[0] ^ 2) && a->b[9] == mac[1] &&
	       a->b[10] == mac[2] && a->b[11] == 0xff && a->b[12] == 0xfe && a->b[13] == mac[3] && a->b[14] == mac[4] &&
	       a->b[15] == mac[5];
}

/* Is this an address that nobody but the gate may claim here: any of its own, of whichever segment? */
INLINE int is_ours(const struct tables *t, const struct ingress *in, const union addr *a, __u8 family)
{
	struct binding *b;
	struct address_class *c;

	if (family == FAMILY_IP6 && is_link_local(a))
		return is_gate_link_local(in, a);
	b = locate(t, a, family);
	c = b ? class_of(t, b->class) : 0;
	return c && c->kind == KIND_LOCAL;
}

/* Does any station or router have this segment and MAC? A function of its own, see place in image.h. */
__attribute__((noinline)) int has_station(__u32 epoch, __u64 key)
{
	const struct image_table *table;
	__u32 found = 0, way;
	struct tables t;
	__u64 hash;
	int i;

	if (tables_of(&t, epoch) || !key)
		return 0;
	table = &t.head->stations;
	hash = mix(key ^ table->seed);
	for (way = 0; way < 2; way++, hash >>= 32) {
		__u64 *bucket = image_bucket(&t, table, hash);

		if (!bucket)
			return 0;
#pragma clang loop unroll(disable)
		for (i = 0; i < 8; i++)
			found |= is_zero(bucket[i] ^ key);
	}
	return found;
}

/* Is this MAC registered in the segment that the packet came in by? */
INLINE int registered(const struct tables *t, const struct ingress *in, const __u8 *mac)
{
	return has_station(t->epoch, (in->number & 0xffff) | (__u64)mac[0] << 16 | (__u64)mac[1] << 24 |
					     (__u64)mac[2] << 32 | (__u64)mac[3] << 40 | (__u64)mac[4] << 48 |
					     (__u64)mac[5] << 56);
}

/* May this MAC speak for this address? A link-local address is not registered: in a strict segment its MAC must be. */
INLINE int speaks_for(const struct tables *t, const struct ingress *in, const union addr *a, __u8 family,
		      const __u8 *mac)
{
	if (family == FAMILY_IP6 && is_link_local(a))
		return !in->segment->strict || registered(t, in, mac);
	if (special_addr(a, family) || is_gate(t, in->number, a, family))
		return 0;
	return bound(in, locate(t, a, family), mac) == PASS;
}

INLINE int neighbour_arp(const struct tables *t, const struct ingress *in, const struct packet *p)
{
	if (is_ours(t, in, &p->src, FAMILY_IP4) || (!p->src.w[3] && is_ours(t, in, &p->dst, FAMILY_IP4)))
		return DROP_DUPLICATE_ADDRESS;
	if (!p->arp_mac_ok || !speaks_for(t, in, &p->src, FAMILY_IP4, p->smac))
		return DROP_NEIGHBOUR_BINDING;
	if (same_addr(&p->src, &p->dst))
		return DROP_NEIGHBOUR_GRATUITOUS;
	if (!is_gate(t, in->number, &p->dst, FAMILY_IP4))
		return DROP_NEIGHBOUR_FOREIGN;
	return PASS;
}

/* Options up to the end of the message; link-layer addresses in them must be the frame's. */
INLINE int nd_options(struct cursor *c, const struct packet *p, int most)
{
	int i;

	for (i = 0; i < most && c->left; i++) {
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
	return c->left ? DROP_NEIGHBOUR_MALFORMED : PASS;
}

/* Is this sent to the gate: to its own address here, or to a link-local one? */
INLINE int to_gate(const struct tables *t, const struct ingress *in, const struct packet *p)
{
	return is_link_local(&p->dst) || is_gate(t, in->number, &p->dst, FAMILY_IP6);
}

/* ff02::1 */
INLINE int to_all_nodes(const struct packet *p)
{
	return p->dst.w[0] == bpf_htonl(0xff020000) && !p->dst.w[1] && !p->dst.w[2] && p->dst.w[3] == bpf_htonl(1);
}

INLINE int router_advertisement(const struct tables *t, const struct ingress *in, struct cursor *c,
				const struct packet *p)
{
	int reason;

	if (is_ours(t, in, &p->src, FAMILY_IP6))
		return DROP_DUPLICATE_ADDRESS;
	if (!in->segment->routers || p->ttl != 255 || !is_link_local(&p->src) || !registered(t, in, p->smac))
		return DROP_ROUTER_ADVERTISEMENT;
	if (p->code || !take(c, 8)) /* reachable time, retransmission timer */
		return DROP_NEIGHBOUR_MALFORMED;
	reason = nd_options(c, p, RA_OPTIONS);
	if (reason)
		return reason;
	return to_all_nodes(p) || to_gate(t, in, p) ? PASS : DROP_NEIGHBOUR_FOREIGN;
}

/* c stands behind the ICMP header's eight bytes. A claimed address becomes p's destination, for the event. */
INLINE int neighbour_nd(const struct tables *t, const struct ingress *in, struct cursor *c, struct packet *p)
{
	union addr *at, target;
	int reason;

	if (p->type == ND_RA)
		return router_advertisement(t, in, c, p);
	if (p->type != ND_NS && p->type != ND_NA)
		return DROP_NEIGHBOUR_REFUSED;
	at = take(c, sizeof(*at));
	if (!at || p->code || p->ttl != 255)
		return DROP_NEIGHBOUR_MALFORMED;
	target = *at;
	if (is_ours(t, in, &p->src, FAMILY_IP6))
		return DROP_DUPLICATE_ADDRESS;
	if ((p->type == ND_NA || no_addr(&p->src)) && is_ours(t, in, &target, FAMILY_IP6)) {
		p->dst = target;
		return DROP_DUPLICATE_ADDRESS;
	}
	reason = nd_options(c, p, ND_OPTIONS);
	if (reason)
		return reason;
	if (!speaks_for(t, in, &p->src, FAMILY_IP6, p->smac))
		return DROP_NEIGHBOUR_BINDING;
	if (p->type == ND_NS)
		return is_gate_link_local(in, &target) || is_gate(t, in->number, &target, FAMILY_IP6)
			       ? PASS
			       : DROP_NEIGHBOUR_FOREIGN;
	if (p->dst.b[0] == 0xff)
		return DROP_NEIGHBOUR_GRATUITOUS;
	if (!to_gate(t, in, p))
		return DROP_NEIGHBOUR_FOREIGN;
	return speaks_for(t, in, &target, FAMILY_IP6, p->smac) ? PASS : DROP_NEIGHBOUR_BINDING;
}

#endif
