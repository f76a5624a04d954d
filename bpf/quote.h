/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 5 for ICMP errors (I12): destination unreachable (with "too big, do not fragment"), packet too big, time exceeded and
 * parameter problem quote the packet that they complain of, and pass by the flow of that packet alone. No record can permit
 * one by itself.
 *
 * The quoted packet must have been sent by whom the error goes to, and to somebody in the segment that the error comes from;
 * its flow must be live and still permitted. The error then takes the flow's rule and bandwidth class, and leaves the flow as
 * it is: it opens none, keeps none alive and answers none. An error about an error is refused (RFC 1122, 3.2.2), as are an
 * error in fragments and a quote of a later fragment, which names no flow. The quoted packet's checksums and lengths are not
 * looked at: it may be cut off.
 */
#ifndef SEKISHO_QUOTE_H
#define SEKISHO_QUOTE_H

#include "flow.h"
#include "parse.h"
#include "segment.h"

#define QUOTED_EXTENSIONS 4       /* as many as a packet may have that the parser lets in */
#define QUOTED_EXTENSION_MORE 256 /* bytes of one of them behind its first eight */

/* The quoted packet of the packet that this CPU decides on: too big for the stack. Written and read within one decision. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} quotes SEC(".maps");

INLINE int is_icmp_error(const struct packet *p)
{
	if (p->proto == PROTO_ICMP)
		return p->type == 3 || p->type == 11 || p->type == 12;
	return p->proto == PROTO_ICMP6 && p->type >= 1 && p->type <= 4;
}

INLINE int quoted_l4(struct cursor *c, struct packet *q)
{
	__u8 *l4 = take(c, 8);

	if (!l4)
		return DROP_ICMP_QUOTE;
	if (q->proto == PROTO_TCP || q->proto == PROTO_UDP || q->proto == PROTO_SCTP) {
		q->sport = l4[0] << 8 | l4[1];
		q->dport = l4[2] << 8 | l4[3];
	} else {
		q->sport = q->dport = 0;
	}
	if (is_icmp(q)) {
		q->type = l4[0];
		if (is_icmp_error(q))
			return DROP_ICMP_QUOTE;
		q->sport = q->dport = l4[4] << 8 | l4[5];
	}
	return PASS;
}

INLINE int quoted_ip4(struct cursor *c, struct packet *q)
{
	struct ip4_header *ip = take(c, sizeof(*ip));
	__u32 options;

	if (!ip)
		return DROP_ICMP_QUOTE;
	options = (ip->version_ihl & 0x0f) * 4 - sizeof(*ip);
	if (ip->version_ihl >> 4 != 4 || options > 40 || options > c->left || ip->fragment & bpf_htons(0x1fff))
		return DROP_ICMP_QUOTE;
	q->family = FAMILY_IP4;
	q->proto = ip->proto;
	map_ip4(&q->src, ip->src);
	map_ip4(&q->dst, ip->dst);
	c->pos += options;
	c->left -= options;
	return quoted_l4(c, q);
}

INLINE int quoted_ip6(struct cursor *c, struct packet *q)
{
	struct ip6_header *ip = take(c, sizeof(*ip));
	__u8 next;
	int i;

	if (!ip || bpf_ntohl(ip->version_class_flow) >> 28 != 6)
		return DROP_ICMP_QUOTE;
	q->family = FAMILY_IP6;
	q->src = ip->src;
	q->dst = ip->dst;
	next = ip->next;
	for (i = 0; i < QUOTED_EXTENSIONS; i++) {
		__u8 *extension;
		__u32 more = 0;

		if (next != IP6_HOP_BY_HOP && next != IP6_OPTIONS && next != IP6_FRAGMENT)
			break;
		extension = take(c, 8);
		if (!extension)
			return DROP_ICMP_QUOTE;
		if (next != IP6_FRAGMENT)
			more = extension[1] * 8;
		else if (extension[2] || extension[3] & 0xf8)
			return DROP_ICMP_QUOTE;
		if (more > QUOTED_EXTENSION_MORE || more > c->left)
			return DROP_ICMP_QUOTE;
		next = extension[0];
		c->pos += more;
		c->left -= more;
	}
	if (next == IP6_HOP_BY_HOP || next == IP6_OPTIONS || next == IP6_FRAGMENT)
		return DROP_ICMP_QUOTE;
	q->proto = next;
	return quoted_l4(c, q);
}

/* May this error pass? c stands behind the ICMP header's eight bytes; d holds the classes and segments of the error itself,
 * whose source has passed the station check, and gets rule and bandwidth class. */
INLINE int quoted(const struct tables *t, const struct ingress *in, struct cursor *c, const struct packet *p,
		  struct decision *d)
{
	__u32 zero = 0;
	struct packet *q = bpf_map_lookup_elem(&quotes, &zero);
	struct decision sent = {.src_class = d->dst_class, .src_segment = d->dst_segment, .dst_segment = in->number};
	const struct line *l;
	struct binding *to;
	__u64 left;
	int reason;

	/* In pieces it would quote more than an honest one may (RFC 1812, 4.3.2.3; RFC 4443, 2.4). */
	if (!q || p->piece)
		return DROP_ICMP_QUOTE;
	reason = p->family == FAMILY_IP4 ? quoted_ip4(c, q) : quoted_ip6(c, q);
	if (reason)
		return reason;
	if (!same_addr(&q->src, &p->dst))
		return DROP_ICMP_QUOTE;
	to = locate(t, &q->dst, q->family);
	if (!to || to->segment != in->number)
		return DROP_ICMP_ERROR_NO_FLOW;
	sent.dst_class = to->class;
	l = flow_find(q, &sent);
	if (!l || !flow_permitted(l, t, &sent, q->proto))
		return DROP_ICMP_ERROR_NO_FLOW;
	d->rule = sent.rule;
	d->bwclass = sent.bwclass;
	return rule_in_force(t, sent.rule, &left);
}

#endif
